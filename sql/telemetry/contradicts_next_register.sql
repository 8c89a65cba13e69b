-- A late register splits the energy of the reading after it. The two together may need more power than the device has, though each is
-- plausible with the readings before. Of two such readings the one that comes second is rejected, as in the order of time.
-- EXECUTE plans with the time as a constant, so that only its chunks are opened.

CREATE OR REPLACE FUNCTION telemetry.contradicts_next_register(
    p_kind text,
    p_device_id text,
    p_recorded_at timestamptz,
    p_state telemetry.register_state,
    p_register_max_kwh double precision,
    p_max_kw double precision,
    p_expected_interval interval
) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_next record;
BEGIN
    IF p_max_kw IS NULL THEN
        RETURN FALSE;
    END IF;
    EXECUTE format(
        $query$
            SELECT h.register_kwh, telemetry.recorded_at(h.counted_at) AS recorded_at
            FROM telemetry.%I AS h
            WHERE h.%I = $1 AND h.counted_at > $2
            ORDER BY h.counted_at
            LIMIT 1
        $query$,
        p_kind || '_telemetry_history', p_kind || '_id'
    ) INTO v_next USING p_device_id, telemetry.counted_at(p_recorded_at);
    RETURN v_next.register_kwh IS NOT NULL AND (telemetry.register_step(
        p_state, v_next.register_kwh, v_next.recorded_at, NULL, p_register_max_kwh, p_max_kw, p_expected_interval, TRUE,
        telemetry.register_exchanges(p_kind, p_device_id, p_state.baseline_at)
    )).is_implausible;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.contradicts_next_register (
    text, text, timestamptz, telemetry.register_state, double precision, double precision, interval
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.contradicts_next_register (
    text, text, timestamptz, telemetry.register_state, double precision, double precision, interval
) IS
'True if the reading after p_recorded_at is a register that rises by more than p_max_kw (kW) allows above p_state, the state after a late reading of that time; false where there is none, or without p_max_kw';
