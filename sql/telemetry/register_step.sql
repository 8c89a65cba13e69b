-- The meaning of one register after another. The write path folds it over new readings (register_chain);
-- mend_register_energy folds it over the readings around a late one. p_base stands in for p_state before the first reading.

CREATE OR REPLACE FUNCTION telemetry.register_step(
    p_state telemetry.register_state,
    p_register_kwh double precision,
    p_recorded_at timestamptz,
    p_base telemetry.register_state,
    p_register_max_kwh double precision,
    p_max_kw double precision,
    p_expected_interval interval,
    p_is_new boolean
) RETURNS telemetry.register_state
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_before CONSTANT telemetry.register_state := CASE WHEN p_state IS NULL THEN p_base ELSE p_state END;
    v_is_back CONSTANT boolean := coalesce(p_register_kwh >= 0.9 * v_before.former_kwh, FALSE); -- at the level before a fall
    v_level_kwh CONSTANT double precision := CASE WHEN v_is_back THEN v_before.former_kwh ELSE v_before.baseline_kwh END;
    v_level_at CONSTANT timestamptz := CASE WHEN v_is_back THEN v_before.former_at ELSE v_before.baseline_at END;
    v_glitch_after CONSTANT timestamptz := CASE WHEN v_is_back THEN v_before.former_at END;
    v_kwh double precision;
BEGIN
    IF v_before.baseline_kwh IS NULL THEN
        RETURN ROW(p_register_kwh, p_recorded_at, 0, FALSE, FALSE, NULL, NULL, NULL)::telemetry.register_state;
    END IF;

    IF p_register_kwh >= v_level_kwh THEN -- a rise
        v_kwh := p_register_kwh - v_level_kwh;
        IF p_is_new AND telemetry.is_implausible(
            v_kwh, greatest(p_recorded_at - v_level_at, p_expected_interval), p_max_kw
        ) THEN
            RETURN ROW(
                v_before.baseline_kwh, v_before.baseline_at, 0, FALSE, TRUE, v_before.former_kwh, v_before.former_at, NULL
            )::telemetry.register_state;
        ELSIF v_kwh > 0 OR v_is_back THEN
            RETURN ROW(p_register_kwh, p_recorded_at, v_kwh, FALSE, FALSE, NULL, NULL, v_glitch_after)::telemetry.register_state;
        END IF;
        RETURN ROW(
            p_register_kwh, p_recorded_at, 0, FALSE, FALSE, v_before.former_kwh, v_before.former_at, NULL
        )::telemetry.register_state;
    ELSIF v_is_back THEN -- a dip below the former level
        RETURN ROW(v_level_kwh, v_level_at, 0, TRUE, FALSE, NULL, NULL, v_glitch_after)::telemetry.register_state;
    ELSIF p_register_kwh >= 0.9 * v_before.baseline_kwh THEN
        RETURN ROW(
            v_before.baseline_kwh, v_before.baseline_at, 0, TRUE, FALSE, v_before.former_kwh, v_before.former_at, NULL
        )::telemetry.register_state;
    END IF;

    v_kwh := CASE
        WHEN
            v_before.baseline_kwh BETWEEN 0.9 * p_register_max_kwh AND p_register_max_kwh
            AND p_register_kwh <= 0.1 * p_register_max_kwh
            THEN p_register_max_kwh - v_before.baseline_kwh + p_register_kwh -- past its maximum
        WHEN
            p_register_kwh > 0.1 * v_before.baseline_kwh
            AND telemetry.is_implausible(
                p_register_kwh, greatest(p_recorded_at - v_before.baseline_at, p_expected_interval), p_max_kw
            )
            THEN 0 -- the register of another meter
        ELSE p_register_kwh -- a reset
    END;
    RETURN ROW(
        p_register_kwh, p_recorded_at, v_kwh, FALSE, FALSE,
        coalesce(v_before.former_kwh, v_before.baseline_kwh), coalesce(v_before.former_at, v_before.baseline_at), NULL
    )::telemetry.register_state;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.register_step (
    telemetry.register_state, double precision, timestamptz, telemetry.register_state,
    double precision, double precision, interval, boolean
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.register_step (
    telemetry.register_state, double precision, timestamptz, telemetry.register_state,
    double precision, double precision, interval, boolean
) IS
'The state after a register (kWh). The first is a baseline (energy 0). A rise is the energy; beyond what p_max_kw allows it is implausible where p_is_new (same baseline). A fall by at most a tenth is a dip (energy 0, same baseline). A larger fall is a rollover from within a tenth of p_register_max_kwh to within a tenth of zero, else a reset: its energy is the new value, or 0 where that is more than a tenth of the old one and implausible. A register that is back at the level before such a fall (at least 90 % of it), with no rise between, makes glitches of the readings between, and its energy counts from that level';
