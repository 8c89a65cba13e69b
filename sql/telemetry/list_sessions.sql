-- The sessions of bi.charging_session for a window and some vehicles: only the stale times of these are computed.

CREATE OR REPLACE FUNCTION telemetry.list_sessions(
    p_vehicle_ids text [], p_start timestamptz, p_end timestamptz
) RETURNS SETOF telemetry.charging_session
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_ids text[];
    v_starts timestamptz[];
    v_ends timestamptz[];
BEGIN
    SELECT array_agg(s.vehicle_id), array_agg(s.span_start), array_agg(s.span_end)
    INTO v_ids, v_starts, v_ends
    FROM telemetry.stale_session_spans(p_vehicle_ids, NULL, p_end) AS s
    -- a session begins at most one reach before its span
    WHERE s.span_start - telemetry.session_reach() < p_end AND s.span_end > p_start;

    RETURN QUERY
    SELECT c.* FROM telemetry.charging_session AS c
    WHERE c.started_at >= p_start AND c.started_at < p_end AND (p_vehicle_ids IS NULL OR c.vehicle_id = ANY (p_vehicle_ids))
        AND NOT EXISTS (
            SELECT FROM unnest(v_ids, v_starts, v_ends) AS s (vehicle_id, span_start, span_end)
            WHERE s.vehicle_id = c.vehicle_id AND s.span_start < c.ended_at AND s.span_end > c.started_at
        );
    RETURN QUERY
    SELECT l.* FROM telemetry.live_sessions(v_ids, v_starts, v_ends) AS l
    WHERE l.started_at >= p_start AND l.started_at < p_end;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_sessions (text [], timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_sessions (text [], timestamptz, timestamptz) IS
'The charging sessions of some vehicles (NULL for all) that begin in [p_start, p_end), exact at this moment';
