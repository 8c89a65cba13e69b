-- The refreshes of meters and of vehicles may run at once: each computes after the other has committed. An unchanged row
-- is not written.

CREATE OR REPLACE FUNCTION telemetry.store_sessions(p_vehicle_ids text [], p_times tstzmultirange) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_ids text[];
    v_starts timestamptz[];
    v_ends timestamptz[];
    v_sessions telemetry.charging_session[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('telemetry.store_sessions', 0));
    SELECT array_agg(s.vehicle_id), array_agg(s.span_start), array_agg(s.span_end)
    INTO v_ids, v_starts, v_ends
    FROM telemetry.stale_session_spans(p_vehicle_ids, p_times) AS s;
    v_sessions := ARRAY(SELECT l FROM telemetry.live_sessions(v_ids, v_starts, v_ends) AS l);

    DELETE FROM telemetry.charging_session AS o
    USING unnest(v_ids, v_starts, v_ends) AS s (vehicle_id, span_start, span_end)
    WHERE o.vehicle_id = s.vehicle_id AND o.started_at < s.span_end AND o.ended_at > s.span_start
        AND (o.vehicle_id, o.started_at) NOT IN (SELECT n.vehicle_id, n.started_at FROM unnest(v_sessions) AS n);

    INSERT INTO telemetry.charging_session AS o
    SELECT n.* FROM unnest(v_sessions) AS n
    ON CONFLICT (vehicle_id, started_at) DO UPDATE SET
        ended_at = excluded.ended_at,
        session_id = excluded.session_id,
        meter_id = excluded.meter_id,
        kwh_delivered_dc = excluded.kwh_delivered_dc,
        kwh_consumed_ac_by_day = excluded.kwh_consumed_ac_by_day,
        peak_kw = excluded.peak_kw,
        readings = excluded.readings,
        meter_readings = excluded.meter_readings,
        soc_start = excluded.soc_start,
        soc_end = excluded.soc_end,
        battery_temp_avg = excluded.battery_temp_avg,
        battery_temp_max = excluded.battery_temp_max,
        meter_first_at = excluded.meter_first_at,
        meter_last_at = excluded.meter_last_at
    WHERE o IS DISTINCT FROM excluded;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.store_sessions (text [], tstzmultirange) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.store_sessions (text [], tstzmultirange) IS
'Computes anew, and stores, the charging sessions of some vehicles (NULL for all) that a change of the history within p_times can reach';
