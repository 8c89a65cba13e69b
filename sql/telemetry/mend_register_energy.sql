-- A late register takes its share of the energy of the reading after it, and may tell a glitch from a reset. The readings
-- around it are folded twice, with it and without it. Once both folds agree, no later reading changes. An exchange, which
-- comes after the readings of its time, is folded in the same way.

CREATE OR REPLACE FUNCTION telemetry.mend_register_energy(
    p_kind text, p_device_id text, p_late_at timestamptz, p_register_max_kwh double precision, p_max_kw double precision,
    p_is_exchange boolean DEFAULT FALSE
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_history CONSTANT text := p_kind || '_telemetry_history';
    v_status CONSTANT text := p_kind || '_current_status';
    v_id CONSTANT text := p_kind || '_id';
    v_energy CONSTANT text := telemetry.energy_column(p_kind);
    v_from CONSTANT timestamptz := CASE WHEN p_is_exchange THEN p_late_at + INTERVAL '1 microsecond' ELSE p_late_at END;
    v_with telemetry.register_state := telemetry.register_anchor(p_kind, p_device_id, v_from);
    v_without telemetry.register_state := v_with;
    v_exchanges CONSTANT telemetry.register_exchange [] := telemetry.register_exchanges(
        p_kind, p_device_id, v_with.baseline_at
    );
    v_others CONSTANT telemetry.register_exchange [] := ARRAY(
        SELECT x FROM unnest(v_exchanges) AS x WHERE NOT (p_is_exchange AND x.exchanged_at = p_late_at) ORDER BY x.exchanged_at
    );
    v_next record;
BEGIN
    FOR v_next IN EXECUTE format(
        $query$
            SELECT h.counted_at, telemetry.recorded_at(h.counted_at) AS recorded_at, h.register_kwh
            FROM telemetry.%I AS h
            WHERE h.%I = $1 AND (h.counted_at > $2 OR $2 IS NULL AND h.counted_at >= $3)
            ORDER BY h.counted_at
        $query$, v_history, v_id
    ) USING p_device_id, telemetry.counted_at(v_with.baseline_at), telemetry.counted_at(v_from)
    LOOP
        EXIT WHEN v_next.register_kwh IS NULL; -- an interval reading: a register after it begins anew
        v_with := telemetry.register_step(
            v_with, v_next.register_kwh, v_next.recorded_at, NULL, p_register_max_kwh, p_max_kw, NULL, FALSE, v_exchanges
        );
        IF p_is_exchange OR v_next.recorded_at <> p_late_at THEN
            v_without := telemetry.register_step(
                v_without, v_next.register_kwh, v_next.recorded_at, NULL, p_register_max_kwh, p_max_kw, NULL, FALSE, v_others
            );
        END IF;
        EXECUTE format(
            'UPDATE telemetry.%1$I AS h SET %2$I = $3, register_dip = nullif($4, FALSE), register_former_at = $5, exchange_kwh = $6
            WHERE h.%3$I = $1 AND h.counted_at = $2
                AND (h.%2$I, h.register_dip IS TRUE, h.register_former_at, h.exchange_kwh) IS DISTINCT FROM ($3, $4, $5, $6)',
            v_history, v_energy, v_id
        ) USING p_device_id, v_next.counted_at, v_with.kwh, v_with.is_dip, v_with.former_at, v_with.exchange_kwh;
        IF v_with.glitch_after IS NOT NULL THEN
            PERFORM telemetry.void_glitches(p_kind, p_device_id, v_with.glitch_after, v_next.recorded_at);
        END IF;
        EXECUTE format(
            'UPDATE telemetry.%I
            SET
                %I = $3, register_baseline_kwh = $4, register_baseline_at = $5,
                register_former_kwh = $6, register_former_at = $7
            WHERE %I = $1 AND recorded_at = $2',
            v_status, v_energy, v_id
        )
        USING
            p_device_id, v_next.recorded_at, v_with.kwh, v_with.baseline_kwh, v_with.baseline_at, v_with.former_kwh,
            v_with.former_at;
        -- undecided, a reading further on may still make glitches of what was just written
        EXIT WHEN v_next.recorded_at > p_late_at AND v_with.former_at IS NULL
            AND (v_with.baseline_kwh, v_with.baseline_at, v_with.former_at)
            IS NOT DISTINCT FROM (v_without.baseline_kwh, v_without.baseline_at, v_without.former_at);
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.mend_register_energy (
    text, text, timestamptz, double precision, double precision, boolean
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.mend_register_energy (
    text, text, timestamptz, double precision, double precision, boolean
) IS
'Derives the energies (kWh) around a late reading of a device anew, or (p_is_exchange) after an exchange declared late, as far as they change, as if all had come in order; current status with them';
