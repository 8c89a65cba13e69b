-- The fold of a register around a time starts from this state. EXECUTE plans with the time as a constant, so that only its chunks are
-- opened. A former level is that of a reading, or of a new register just after its exchange.

CREATE OR REPLACE FUNCTION telemetry.register_anchor(
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
            SELECT
                h.register_kwh, telemetry.recorded_at(h.counted_at), 0, FALSE, FALSE,
                former.kwh, CASE WHEN former.kwh IS NOT NULL THEN h.register_former_at END, NULL, NULL
            FROM telemetry.%1$I AS h
            LEFT JOIN telemetry.%1$I AS f ON f.%2$I = $1 AND f.counted_at = telemetry.counted_at(h.register_former_at)
            LEFT JOIN telemetry.register_exchange AS x
                ON x.kind = $3 AND x.device_id = $1 AND x.exchanged_at = h.register_former_at - INTERVAL '1 microsecond'
            CROSS JOIN LATERAL (SELECT greatest(f.register_kwh, x.first_register_kwh) AS kwh) AS former
            WHERE h.%2$I = $1 AND h.counted_at < $2 AND h.register_dip IS NOT TRUE
            ORDER BY h.counted_at DESC
            LIMIT 1
        $query$,
        p_kind || '_telemetry_history', p_kind || '_id'
    )
    INTO v_state USING p_device_id, telemetry.counted_at(p_time), p_kind;
    IF v_state.baseline_at IS NULL THEN
        SELECT NULL, min(x.exchanged_at), 0, FALSE, FALSE, NULL, NULL, NULL, NULL
        INTO v_state
        FROM unnest(telemetry.register_exchanges(p_kind, p_device_id, NULL)) AS x
        WHERE x.exchanged_at < p_time;
    END IF;
    RETURN v_state;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.register_anchor (text, text, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.register_anchor (text, text, timestamptz) IS
'The state of a device''s register after its last reading before p_time that is neither a dip nor a glitch; without a baseline where there is none, or where it is interval energy. Where there is none, baseline_at is the time of the first exchange before p_time, if any';
