-- The meaning of one register after another. The write path folds it over new readings (register_chain);
-- mend_register_energy folds it over the readings around a late one. p_base stands in for p_state before the first reading.
-- An exchange ends a baseline. The rest of the old register goes to the first reading after it. The new register's baseline is
-- a microsecond after it, so a baseline tells which exchanges lie before it. An exchange_kwh in p_base says that its baseline, or
-- this register, was declared. Energy that is not rejected is judged by the times of the readings alone, so that a late one finds the same.

CREATE OR REPLACE FUNCTION telemetry.register_step(
    p_state telemetry.register_state,
    p_register_kwh double precision,
    p_recorded_at timestamptz,
    p_base telemetry.register_state,
    p_register_max_kwh double precision,
    p_max_kw double precision,
    p_expected_interval interval,
    p_is_new boolean,
    p_exchanges telemetry.register_exchange []
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
    v_exchange telemetry.register_exchange;
    v_exchange_kwh double precision;
    v_exchange_glitch timestamptz;
    v_old telemetry.register_state;
    v_new telemetry.register_state := v_before;
BEGIN
    IF p_exchanges IS NOT NULL THEN
        FOREACH v_exchange IN ARRAY p_exchanges LOOP
            CONTINUE WHEN v_exchange.exchanged_at >= p_recorded_at OR v_exchange.exchanged_at < v_new.baseline_at;
            v_new := ROW(
                v_new.baseline_kwh, v_new.baseline_at, 0, FALSE, FALSE, v_new.former_kwh, v_new.former_at, NULL, 0
            )::telemetry.register_state;
            v_old := telemetry.register_step(
                NULL, v_exchange.last_register_kwh, v_exchange.exchanged_at, v_new, p_register_max_kwh, p_max_kw, NULL, FALSE, NULL
            );
            v_exchange_kwh := coalesce(v_exchange_kwh, 0) + v_old.kwh;
            v_exchange_glitch := coalesce(v_old.glitch_after, v_exchange_glitch);
            v_new := ROW(
                v_exchange.first_register_kwh, v_exchange.exchanged_at + INTERVAL '1 microsecond', 0, FALSE, FALSE,
                NULL, NULL, NULL, 0
            )::telemetry.register_state;
        END LOOP;
    END IF;
    IF v_exchange_kwh IS NOT NULL THEN
        v_new := telemetry.register_step(
            NULL, p_register_kwh, p_recorded_at, v_new, p_register_max_kwh, p_max_kw, p_expected_interval, p_is_new, NULL
        );
        IF v_new.is_implausible THEN
            RETURN ROW(
                v_before.baseline_kwh, v_before.baseline_at, 0, FALSE, TRUE, v_before.former_kwh, v_before.former_at, NULL, NULL
            )::telemetry.register_state;
        END IF;
        RETURN ROW(
            v_new.baseline_kwh, v_new.baseline_at, v_new.kwh + v_exchange_kwh, v_new.is_dip, FALSE,
            v_new.former_kwh, v_new.former_at, v_exchange_glitch, v_exchange_kwh
        )::telemetry.register_state;
    END IF;

    IF v_before.baseline_kwh IS NULL THEN
        RETURN ROW(p_register_kwh, p_recorded_at, 0, FALSE, FALSE, NULL, NULL, NULL, NULL)::telemetry.register_state;
    END IF;

    IF p_register_kwh >= v_level_kwh THEN -- a rise
        v_kwh := p_register_kwh - v_level_kwh;
        IF
            v_level_kwh = 0 AND v_before.former_kwh IS NULL AND NOT (p_state IS NULL AND v_before.exchange_kwh IS NOT NULL)
            AND telemetry.is_implausible(v_kwh, p_recorded_at - v_level_at, p_max_kw)
        THEN -- the zero of a start came first
            RETURN ROW(p_register_kwh, p_recorded_at, 0, FALSE, FALSE, NULL, NULL, NULL, NULL)::telemetry.register_state;
        ELSIF p_is_new AND telemetry.is_implausible(
            v_kwh, greatest(p_recorded_at - v_level_at, p_expected_interval), p_max_kw
        ) THEN
            RETURN ROW(
                v_before.baseline_kwh, v_before.baseline_at, 0, FALSE, TRUE, v_before.former_kwh, v_before.former_at, NULL, NULL
            )::telemetry.register_state;
        ELSIF v_kwh > 0 OR v_is_back THEN
            RETURN ROW(
                p_register_kwh, p_recorded_at, v_kwh, FALSE, FALSE, NULL, NULL, v_glitch_after, NULL
            )::telemetry.register_state;
        END IF;
        RETURN ROW(
            p_register_kwh, p_recorded_at, 0, FALSE, FALSE, v_before.former_kwh, v_before.former_at, NULL, NULL
        )::telemetry.register_state;
    ELSIF v_is_back THEN -- a dip below the former level
        RETURN ROW(v_level_kwh, v_level_at, 0, TRUE, FALSE, NULL, NULL, v_glitch_after, NULL)::telemetry.register_state;
    ELSIF p_register_kwh >= 0.9 * v_before.baseline_kwh THEN
        RETURN ROW(
            v_before.baseline_kwh, v_before.baseline_at, 0, TRUE, FALSE, v_before.former_kwh, v_before.former_at, NULL, NULL
        )::telemetry.register_state;
    END IF;

    v_kwh := CASE
        WHEN
            telemetry.is_rollover(v_before.baseline_kwh, p_register_kwh, p_register_max_kwh)
            AND NOT telemetry.is_implausible(
                p_register_max_kwh - v_before.baseline_kwh + p_register_kwh, p_recorded_at - v_before.baseline_at, p_max_kw
            )
            THEN p_register_max_kwh - v_before.baseline_kwh + p_register_kwh
        WHEN
            p_register_kwh > 0.1 * v_before.baseline_kwh
            AND telemetry.is_implausible(p_register_kwh, p_recorded_at - v_before.baseline_at, p_max_kw)
            THEN 0 -- the register of another meter
        ELSE p_register_kwh -- a reset
    END;
    RETURN ROW(
        p_register_kwh, p_recorded_at, v_kwh, FALSE, FALSE,
        coalesce(v_before.former_kwh, v_before.baseline_kwh), coalesce(v_before.former_at, v_before.baseline_at), NULL, NULL
    )::telemetry.register_state;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.register_step (
    telemetry.register_state, double precision, timestamptz, telemetry.register_state,
    double precision, double precision, interval, boolean, telemetry.register_exchange []
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.register_step (
    telemetry.register_state, double precision, timestamptz, telemetry.register_state,
    double precision, double precision, interval, boolean, telemetry.register_exchange []
) IS
'The state after a register (kWh). The first is a baseline (energy 0). A rise is the energy; beyond what p_max_kw allows it is implausible where p_is_new (same baseline); after nothing but zeros it is then a baseline instead (energy 0), unless a zero was declared. A fall by at most a tenth is a dip (energy 0, same baseline). A larger fall is a rollover from within a tenth of p_register_max_kwh to within a tenth of zero, if p_max_kw allows its energy, else a reset: its energy is the new value, or 0 where that is more than a tenth of the old one and implausible. A register that is back at the level before such a fall (at least 90 % of it), with no rise between, makes glitches of the readings between, and its energy counts from that level. p_exchanges are exchanges of the device in the order of time; those between the baseline and this register count: the old register up to its last value, then the new one from its first';
