-- A glitch is known only from the reading after it. Until then it is a fall, and folded as one.

CREATE OR REPLACE FUNCTION telemetry.register_state_before(
    p_kind text, p_device_id text, p_time timestamptz, p_register_max_kwh double precision, p_max_kw double precision
) RETURNS telemetry.register_state
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_state telemetry.register_state := telemetry.register_anchor(p_kind, p_device_id, p_time);
    v_exchanges CONSTANT telemetry.register_exchange [] := telemetry.register_exchanges(
        p_kind, p_device_id, v_state.baseline_at
    );
    v_next record;
BEGIN
    FOR v_next IN EXECUTE format(
        $query$
            SELECT telemetry.recorded_at(h.counted_at) AS recorded_at, h.register_kwh
            FROM telemetry.%I AS h
            WHERE h.%I = $1 AND h.counted_at > $2 AND h.counted_at < $3
            ORDER BY h.counted_at
        $query$,
        p_kind || '_telemetry_history', p_kind || '_id'
    ) USING p_device_id, telemetry.counted_at(v_state.baseline_at), telemetry.counted_at(p_time)
    LOOP
        v_state := telemetry.register_step(
            v_state, v_next.register_kwh, v_next.recorded_at, NULL, p_register_max_kwh, p_max_kw, NULL, FALSE, v_exchanges
        );
    END LOOP;
    RETURN v_state;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.register_state_before (
    text, text, timestamptz, double precision, double precision
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.register_state_before (
    text, text, timestamptz, double precision, double precision
) IS
'The state of a device''s register (kWh) before p_time, as far as readings until then tell; without a baseline where the device has no earlier reading, or its last one was not a register';
