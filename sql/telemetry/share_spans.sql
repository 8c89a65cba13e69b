-- COST: the planner is to ask for few shares.

CREATE OR REPLACE FUNCTION telemetry.share_spans(p_share integer, p_shares integer)
RETURNS TABLE (vehicle_id text, span_start timestamptz, span_end timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER COST 1000000 ROWS 100
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.vehicle_id, s.span_start, s.span_end
    FROM telemetry.stale_session_spans(ARRAY(
        SELECT v.vehicle_id FROM telemetry.vehicle_current_status AS v WHERE abs(hashtext(v.vehicle_id) % p_shares) = p_share
    )) AS s;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.share_spans (integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.share_spans (integer, integer) TO energy_bi;

COMMENT ON FUNCTION telemetry.share_spans (integer, integer) IS
'telemetry.stale_session_spans of one share of the fleet (telemetry.fleet_share)';
