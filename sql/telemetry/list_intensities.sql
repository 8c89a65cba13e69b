-- For telemetry.energy_cost, as telemetry.list_prices.

CREATE OR REPLACE FUNCTION telemetry.list_intensities(
    p_meter_id text, p_is_own boolean, p_from timestamptz, p_until timestamptz
) RETURNS TABLE (starts timestamptz, ends timestamptz, week int4multirange, co2_g_per_kwh numeric)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 10
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT coalesce(lower(p.during), '-infinity'), coalesce(upper(p.during), 'infinity'), p.week, p.co2_g_per_kwh
    FROM telemetry.meter_intensity AS p
    WHERE p.meter_id = p_meter_id AND p.is_own = p_is_own AND p.during && tstzrange(p_from - INTERVAL '15 minutes', p_until);
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_intensities (text, boolean, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.list_intensities (text, boolean, timestamptz, timestamptz) TO energy_bi;

COMMENT ON FUNCTION telemetry.list_intensities (text, boolean, timestamptz, timestamptz) IS
'The grid intensities (g CO2/kWh) of a meter in the quarter hours of a time: its own, or those of its zone. They hold from starts (included) to ends (excluded), in the minutes of the local week in week';
