-- Computed sessions with their ids. A session keeps the id of the first stored one that it overlaps, so an id stays while
-- its session grows. Of joined sessions the older id survives; of a split one the first piece keeps it. A new id follows
-- from vehicle and start, so that it is the same before and after it is stored.

CREATE OR REPLACE FUNCTION telemetry.live_sessions(
    p_vehicle_ids text [], p_starts timestamptz [], p_ends timestamptz []
) RETURNS SETOF telemetry.charging_session
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET jit = off
AS $$
DECLARE
    v_sessions CONSTANT telemetry.charging_session[] := ARRAY(
        SELECT s FROM telemetry.compute_sessions(p_vehicle_ids, p_starts, p_ends) AS s
    );
BEGIN
    RETURN QUERY
    WITH computed AS (
        SELECT c.* FROM unnest(v_sessions) AS c
    ),
    heir AS (
        SELECT DISTINCT ON (o.vehicle_id, o.started_at)
            o.vehicle_id, o.started_at AS stored_start, o.session_id, c.started_at
        FROM unnest(p_vehicle_ids, p_starts, p_ends) AS p (vehicle_id, span_start, span_end)
        JOIN telemetry.charging_session AS o
            ON o.vehicle_id = p.vehicle_id AND o.started_at < p.span_end AND o.ended_at > p.span_start
        JOIN computed AS c ON c.vehicle_id = o.vehicle_id AND c.started_at < o.ended_at AND c.ended_at > o.started_at
        ORDER BY o.vehicle_id, o.started_at, c.started_at
    ),
    kept AS (
        SELECT DISTINCT ON (h.vehicle_id, h.started_at) h.vehicle_id, h.started_at, h.session_id
        FROM heir AS h
        ORDER BY h.vehicle_id, h.started_at, h.stored_start
    )
    SELECT
        c.vehicle_id, c.started_at, c.ended_at, coalesce(k.session_id, n.session_id), c.meter_id, c.kwh_delivered_dc,
        c.kwh_consumed_ac_by_day, c.peak_kw, c.readings, c.meter_readings, c.soc_start, c.soc_end, c.battery_temp_avg,
        c.battery_temp_max, c.meter_first_at, c.meter_last_at
    FROM computed AS c
    LEFT JOIN kept AS k ON k.vehicle_id = c.vehicle_id AND k.started_at = c.started_at
    LEFT JOIN LATERAL (
        -- another session may have begun then once, and have kept its id
        SELECT i.session_id
        FROM generate_series(0, 9) AS t (try)
        CROSS JOIN LATERAL (
            SELECT md5(c.vehicle_id || '/' || extract(EPOCH FROM c.started_at) || '/' || t.try)::uuid AS session_id
        ) AS i
        WHERE k.session_id IS NULL
            AND NOT EXISTS (SELECT FROM telemetry.charging_session AS s WHERE s.session_id = i.session_id)
        ORDER BY t.try
        LIMIT 1
    ) AS n ON TRUE;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.live_sessions (text [], timestamptz [], timestamptz []) FROM PUBLIC, energy_bi;

COMMENT ON FUNCTION telemetry.live_sessions (text [], timestamptz [], timestamptz []) IS
'The charging sessions of telemetry.compute_sessions with their ids: those that will be stored in the place of the stored ones';
