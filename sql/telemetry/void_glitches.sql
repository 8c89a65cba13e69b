-- A register that is back at its old level was not reset: the readings between were glitches.

CREATE OR REPLACE FUNCTION telemetry.void_glitches(
    p_kind text, p_device_id text, p_after timestamptz, p_before timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    EXECUTE format(
        'UPDATE telemetry.%I AS h SET %I = 0, register_dip = TRUE
        WHERE h.%I = $1 AND h.counted_at > $2 AND h.counted_at < $3',
        p_kind || '_telemetry_history', telemetry.energy_column(p_kind), p_kind || '_id'
    ) USING p_device_id, telemetry.counted_at(p_after), telemetry.counted_at(p_before);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.void_glitches (text, text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.void_glitches (text, text, timestamptz, timestamptz) IS
'Takes the energy (kWh) from the readings of a device between two times, both excluded, and marks them as no baseline';
