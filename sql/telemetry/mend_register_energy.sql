-- A late register takes its share of the energy of the reading after it. Later readings do not change, unless there are
-- dips. These have no baseline of their own, so the chain is followed until a reading has one before and after.

CREATE OR REPLACE FUNCTION telemetry.mend_register_energy(
    p_kind text, p_device_id text, p_after timestamptz, p_state telemetry.register_state,
    p_register_max_kwh double precision
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_history CONSTANT text := p_kind || '_telemetry_history';
    v_status CONSTANT text := p_kind || '_current_status';
    v_id CONSTANT text := p_kind || '_id';
    v_energy CONSTANT text := telemetry.energy_column(p_kind);
    v_state telemetry.register_state := p_state;
    v_next record;
BEGIN
    FOR v_next IN EXECUTE format(
        $query$
            SELECT h.counted_at, telemetry.recorded_at(h.counted_at) AS recorded_at, h.register_kwh, h.register_dip IS TRUE AS is_dip
            FROM telemetry.%I AS h
            WHERE h.%I = $1 AND h.counted_at > $2
            ORDER BY h.counted_at
        $query$, v_history, v_id
    ) USING p_device_id, telemetry.counted_at(p_after)
    LOOP
        EXIT WHEN v_next.register_kwh IS NULL; -- an interval reading: a register after it begins anew
        v_state := telemetry.register_step(
            v_state, v_next.register_kwh, v_next.recorded_at, NULL, p_register_max_kwh, NULL, NULL
        );
        EXECUTE format(
            'UPDATE telemetry.%I SET %I = $3, register_dip = nullif($4, FALSE) WHERE %I = $1 AND counted_at = $2',
            v_history, v_energy, v_id
        ) USING p_device_id, v_next.counted_at, v_state.kwh, v_state.is_dip;
        EXECUTE format(
            'UPDATE telemetry.%I SET %I = $3, register_baseline_kwh = $4, register_baseline_at = $5
             WHERE %I = $1 AND recorded_at = $2',
            v_status, v_energy, v_id
        ) USING p_device_id, v_next.recorded_at, v_state.kwh, v_state.baseline_kwh, v_state.baseline_at;
        EXIT WHEN NOT (v_state.is_dip OR v_next.is_dip);
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.mend_register_energy (
    text, text, timestamptz, telemetry.register_state, double precision
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.mend_register_energy (
    text, text, timestamptz, telemetry.register_state, double precision
) IS
'Recomputes the energies (kWh) of the readings after p_after from the register state p_state, as far as they change; current status with them';
