-- A late register splits the energy of the reading after it. The two together may need more power than the device has, though each is
-- plausible with the readings before. Of two such readings the one that comes second is rejected, as in the order of time.
-- After a fall or a dip, the reading that ends it decides. EXECUTE plans with the time as a constant, so that only its chunks
-- are opened.

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
    v_state telemetry.register_state := p_state;
    v_exchanges CONSTANT telemetry.register_exchange [] := telemetry.register_exchanges(
        p_kind, p_device_id, p_state.baseline_at
    );
    v_next record;
BEGIN
    IF p_max_kw IS NULL THEN
        RETURN FALSE;
    END IF;
    FOR v_next IN EXECUTE format(
        $query$
            SELECT h.register_kwh, telemetry.recorded_at(h.counted_at) AS recorded_at
            FROM telemetry.%I AS h
            WHERE h.%I = $1 AND h.counted_at > $2
            ORDER BY h.counted_at
        $query$,
        p_kind || '_telemetry_history', p_kind || '_id'
    ) USING p_device_id, telemetry.counted_at(p_recorded_at)
    LOOP
        EXIT WHEN v_next.register_kwh IS NULL; -- an interval reading: a register after it begins anew
        v_state := telemetry.register_step(
            v_state, v_next.register_kwh, v_next.recorded_at, NULL, p_register_max_kwh, p_max_kw, p_expected_interval, TRUE, v_exchanges
        );
        EXIT WHEN v_state.is_implausible OR (v_state.former_at IS NULL AND NOT v_state.is_dip);
    END LOOP;
    RETURN v_state.is_implausible;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.contradicts_next_register (
    text, text, timestamptz, telemetry.register_state, double precision, double precision, interval
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.contradicts_next_register (
    text, text, timestamptz, telemetry.register_state, double precision, double precision, interval
) IS
'True if the readings after p_recorded_at are registers that rise by more than p_max_kw (kW) allows, in the first of them or, after a fall or a dip, in the one that ends it. p_state is the state after a late reading of that time, which is plausible itself. False without p_max_kw';
