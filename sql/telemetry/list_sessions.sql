-- The sessions of bi.charging_session for a window and some vehicles: only the stale times of these are computed. Long ones are
-- cut to the window, and one reach and a gap before it. A session across its start has a reading with energy there, so it begins
-- before the window. The stored session across the start is computed from its own start on, for its id. Sessions that are
-- still under way a day after the window are computed once more, to their end.

CREATE OR REPLACE FUNCTION telemetry.list_sessions(
    p_vehicle_ids text [], p_start timestamptz, p_end timestamptz
) RETURNS SETOF telemetry.charging_session
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_margin CONSTANT interval := telemetry.session_reach() + (SELECT f.session_gap FROM telemetry.fleet AS f);
    v_ids text[];
    v_starts timestamptz[];
    v_ends timestamptz[];
    v_needed_from timestamptz[];
    v_needed_until timestamptz[];
    v_sessions telemetry.charging_session[];
BEGIN
    SELECT array_agg(s.vehicle_id), array_agg(s.span_start), array_agg(s.span_end),
        array_agg(greatest(s.span_start, least(p_start, o.started_at) - v_margin)),
        array_agg(least(s.span_end, p_end + INTERVAL '1 day'))
    INTO v_ids, v_starts, v_ends, v_needed_from, v_needed_until
    FROM telemetry.stale_session_spans(p_vehicle_ids, NULL, p_end) AS s
    LEFT JOIN LATERAL (
        SELECT c.started_at, c.ended_at FROM telemetry.charging_session AS c
        WHERE c.vehicle_id = s.vehicle_id AND c.started_at < p_start
        ORDER BY c.started_at DESC
        LIMIT 1
    ) AS o ON o.ended_at > p_start
    -- a session begins at most one reach before its span
    WHERE s.span_start - telemetry.session_reach() < p_end AND s.span_end > p_start;

    RETURN QUERY
    SELECT c.* FROM telemetry.charging_session AS c
    WHERE c.started_at >= p_start AND c.started_at < p_end AND (p_vehicle_ids IS NULL OR c.vehicle_id = ANY (p_vehicle_ids))
        AND NOT EXISTS (
            SELECT FROM unnest(v_ids, v_starts, v_ends) AS s (vehicle_id, span_start, span_end)
            WHERE s.vehicle_id = c.vehicle_id AND s.span_start < c.ended_at AND s.span_end > c.started_at
        );

    v_sessions := ARRAY(
        SELECT l FROM telemetry.live_sessions(v_ids, v_needed_from, v_needed_until) AS l
        WHERE l.started_at >= p_start AND l.started_at < p_end
    );
    SELECT array_agg(s.vehicle_id), array_agg(s.needed_from), array_agg(s.span_end)
    INTO v_ids, v_starts, v_ends
    FROM unnest(v_ids, v_needed_from, v_needed_until, v_ends) AS s (vehicle_id, needed_from, needed_until, span_end)
    WHERE s.needed_until < s.span_end AND EXISTS (
        SELECT FROM unnest(v_sessions) AS l
        WHERE l.vehicle_id = s.vehicle_id AND l.started_at < s.needed_until AND l.ended_at >= s.needed_until - v_margin
    );
    RETURN QUERY
    SELECT l.* FROM unnest(v_sessions) AS l
    WHERE NOT EXISTS (
        SELECT FROM unnest(v_ids, v_starts, v_ends) AS s (vehicle_id, needed_from, span_end)
        WHERE s.vehicle_id = l.vehicle_id AND l.started_at >= s.needed_from AND l.started_at < s.span_end
    );
    RETURN QUERY
    SELECT l.* FROM telemetry.live_sessions(v_ids, v_starts, v_ends) AS l
    WHERE l.started_at >= p_start AND l.started_at < p_end;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_sessions (text [], timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_sessions (text [], timestamptz, timestamptz) IS
'The charging sessions of some vehicles (NULL for all) that begin in [p_start, p_end), exact at this moment';
