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
    v_state telemetry.register_state := CASE WHEN p_state IS NULL THEN p_base ELSE p_state END;
    v_is_back boolean; -- at the level before a fall
    v_level_kwh double precision;
    v_level_at timestamptz;
BEGIN
    v_state.kwh := 0;
    v_state.is_dip := FALSE;
    v_state.is_implausible := FALSE;
    v_state.glitch_after := NULL;
    IF v_state.baseline_kwh IS NULL THEN
        v_state.baseline_kwh := p_register_kwh;
        v_state.baseline_at := p_recorded_at;
        RETURN v_state;
    END IF;

    v_is_back := coalesce(p_register_kwh >= 0.9 * v_state.former_kwh, FALSE);
    v_level_kwh := CASE WHEN v_is_back THEN v_state.former_kwh ELSE v_state.baseline_kwh END;
    v_level_at := CASE WHEN v_is_back THEN v_state.former_at ELSE v_state.baseline_at END;
    IF p_register_kwh >= v_level_kwh THEN -- a rise
        v_state.kwh := p_register_kwh - v_level_kwh;
        IF p_is_new AND telemetry.is_implausible(
            v_state.kwh, greatest(p_recorded_at - v_level_at, p_expected_interval), p_max_kw
        ) THEN
            v_state.kwh := 0;
            v_state.is_implausible := TRUE;
            RETURN v_state;
        END IF;
        IF v_is_back THEN
            v_state.glitch_after := v_state.former_at;
        END IF;
        IF v_state.kwh > 0 OR v_is_back THEN
            v_state.former_kwh := NULL;
            v_state.former_at := NULL;
        END IF;
        v_state.baseline_kwh := p_register_kwh;
        v_state.baseline_at := p_recorded_at;
    ELSIF v_is_back THEN -- a dip below the former level
        v_state.is_dip := TRUE;
        v_state.glitch_after := v_state.former_at;
        v_state.baseline_kwh := v_state.former_kwh;
        v_state.baseline_at := v_state.former_at;
        v_state.former_kwh := NULL;
        v_state.former_at := NULL;
    ELSIF p_register_kwh >= 0.9 * v_state.baseline_kwh THEN
        v_state.is_dip := TRUE;
    ELSE
        v_state.kwh := CASE
            WHEN
                v_state.baseline_kwh BETWEEN 0.9 * p_register_max_kwh AND p_register_max_kwh
                AND p_register_kwh <= 0.1 * p_register_max_kwh
                THEN p_register_max_kwh - v_state.baseline_kwh + p_register_kwh -- past its maximum
            WHEN
                p_register_kwh > 0.1 * v_state.baseline_kwh
                AND telemetry.is_implausible(
                    p_register_kwh, greatest(p_recorded_at - v_state.baseline_at, p_expected_interval), p_max_kw
                )
                THEN 0 -- the register of another meter
            ELSE p_register_kwh -- a reset
        END;
        v_state.former_kwh := coalesce(v_state.former_kwh, v_state.baseline_kwh);
        v_state.former_at := coalesce(v_state.former_at, v_state.baseline_at);
        v_state.baseline_kwh := p_register_kwh;
        v_state.baseline_at := p_recorded_at;
    END IF;
    RETURN v_state;
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
