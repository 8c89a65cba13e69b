-- The meters of a vehicle in a window, piece by piece.

CREATE OR REPLACE FUNCTION telemetry.meter_segments(
    p_vehicle_id text, p_start timestamptz, p_end timestamptz
) RETURNS TABLE (meter_id text, segment_start timestamptz, segment_end timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT m.meter_id, greatest(m.valid_from, p_start), least(m.valid_until, p_end)
    FROM bi.vehicle_meter AS m
    WHERE m.vehicle_id = p_vehicle_id AND tstzrange(m.valid_from, m.valid_until) && tstzrange(p_start, p_end)
    ORDER BY 2;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.meter_segments (text, timestamptz, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.meter_segments (text, timestamptz, timestamptz) IS
'The meters that feed a vehicle in [p_start, p_end), one row per unbroken piece [segment_start, segment_end) in order of time: bi.vehicle_meter within the window';
