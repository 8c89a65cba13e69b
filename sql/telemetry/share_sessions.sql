-- COST: as in telemetry.share_spans.

CREATE OR REPLACE FUNCTION telemetry.share_sessions(p_share integer, p_shares integer) RETURNS SETOF telemetry.charging_session
LANGUAGE sql STABLE SECURITY DEFINER COST 1000000 ROWS 100
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT l.*
    FROM (
        SELECT array_agg(s.vehicle_id) AS vehicle_ids, array_agg(s.span_start) AS starts, array_agg(s.span_end) AS ends
        FROM telemetry.share_spans(p_share, p_shares) AS s
    ) AS p
    CROSS JOIN LATERAL telemetry.live_sessions(p.vehicle_ids, p.starts, p.ends) AS l;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.share_sessions (integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.share_sessions (integer, integer) TO energy_bi;

COMMENT ON FUNCTION telemetry.share_sessions (integer, integer) IS
'telemetry.live_sessions of the stale times of one share of the fleet (telemetry.fleet_share)';
