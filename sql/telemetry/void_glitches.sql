-- A register that is back at its old level was not reset: the readings between were glitches. The energy of a replaced
-- register is kept. After an exchange the old level may be that of the new register, a microsecond later. A reading of that
-- very time is then a glitch if it is below the level.

CREATE OR REPLACE FUNCTION telemetry.void_glitches(
    p_kind text, p_device_id text, p_after timestamptz, p_before timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'UPDATE telemetry.%I AS h SET %I = coalesce(h.exchange_kwh, 0), register_dip = TRUE
        WHERE
            h.%I = $1 AND h.counted_at >= $2 AND h.counted_at < $3
            AND (h.counted_at > $2 OR h.register_kwh < $4)',
        p_kind || '_telemetry_history', telemetry.energy_column(p_kind), p_kind || '_id'
    ) USING p_device_id, telemetry.counted_at(p_after), telemetry.counted_at(p_before), (
        SELECT x.first_register_kwh FROM telemetry.register_exchange AS x
        WHERE x.kind = p_kind AND x.device_id = p_device_id AND x.exchanged_at = p_after - INTERVAL '1 microsecond'
    );
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.void_glitches (text, text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.void_glitches (text, text, timestamptz, timestamptz) IS
'Takes the energy (kWh) from the readings of a device between two times, both excluded, but for that of a replaced register, and marks them as no baseline';
