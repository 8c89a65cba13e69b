-- The state of a register before a time. EXECUTE plans with the time as a constant, so that only its chunks are opened.

CREATE OR REPLACE FUNCTION telemetry.register_state_before(
    p_kind text, p_device_id text, p_time timestamptz
) RETURNS telemetry.register_state
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_state telemetry.register_state;
BEGIN
    EXECUTE format(
        $query$
            SELECT h.register_kwh, telemetry.recorded_at(h.counted_at), 0, FALSE, FALSE
            FROM telemetry.%I AS h
            WHERE h.%I = $1 AND h.counted_at < $2 AND h.register_dip IS NOT TRUE
            ORDER BY h.counted_at DESC
            LIMIT 1
        $query$,
        p_kind || '_telemetry_history', p_kind || '_id'
    )
    INTO v_state USING p_device_id, telemetry.counted_at(p_time);
    RETURN v_state;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.register_state_before (text, text, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.register_state_before (text, text, timestamptz) IS
'The baseline (kWh) for a register reading at p_time; none if the device has no earlier reading, or its last one was not a register';
