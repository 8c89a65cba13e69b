-- The meaning of one register after another, stated once. The write path folds it over new readings (register_chain),
-- and mend_register_energy over the readings after a late one. p_base replaces p_state before the first reading.

CREATE OR REPLACE FUNCTION telemetry.register_step(
    p_state telemetry.register_state,
    p_register_kwh double precision,
    p_recorded_at timestamptz,
    p_base telemetry.register_state,
    p_register_max_kwh double precision,
    p_max_kw double precision,
    p_expected_interval interval
) RETURNS telemetry.register_state
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_state telemetry.register_state := CASE WHEN p_state IS NULL THEN p_base ELSE p_state END;
    v_kwh double precision;
BEGIN
    IF v_state.baseline_kwh IS NULL THEN
        RETURN ROW(p_register_kwh, p_recorded_at, 0, FALSE, FALSE)::telemetry.register_state;
    END IF;

    v_kwh := CASE
        WHEN p_register_kwh >= v_state.baseline_kwh THEN p_register_kwh - v_state.baseline_kwh
        WHEN p_register_kwh >= 0.9 * v_state.baseline_kwh THEN NULL -- a dip
        WHEN v_state.baseline_kwh <= p_register_max_kwh -- past its maximum
            THEN p_register_max_kwh - v_state.baseline_kwh + p_register_kwh
        ELSE p_register_kwh -- a reset
    END;

    IF v_kwh IS NULL THEN
        RETURN ROW(v_state.baseline_kwh, v_state.baseline_at, 0, TRUE, FALSE)::telemetry.register_state;
    ELSIF telemetry.is_implausible(
        v_kwh, greatest(p_recorded_at - v_state.baseline_at, p_expected_interval), p_max_kw
    ) THEN
        RETURN ROW(v_state.baseline_kwh, v_state.baseline_at, 0, FALSE, TRUE)::telemetry.register_state;
    END IF;
    RETURN ROW(p_register_kwh, p_recorded_at, v_kwh, FALSE, FALSE)::telemetry.register_state;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.register_step (
    telemetry.register_state, double precision, timestamptz, telemetry.register_state,
    double precision, double precision, interval
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.register_step (
    telemetry.register_state, double precision, timestamptz, telemetry.register_state,
    double precision, double precision, interval
) IS
'The state after a register (kWh): the first is a baseline (energy 0); a rise is the energy; a fall below 90 % is a rollover if p_register_max_kwh allows it, else a reset (energy = register); a smaller fall is a dip (energy 0, same baseline); more than p_max_kw allows is implausible (same baseline)';
