-- The limits of the battery temperature, stated once.

CREATE OR REPLACE FUNCTION telemetry.ignore_battery_temp(p_battery_temp double precision) RETURNS api.ignored_measure
LANGUAGE sql STABLE PARALLEL SAFE
RETURN telemetry.ignore_measure('batteryTemp', p_battery_temp, -60, 120, '°C');

REVOKE EXECUTE ON FUNCTION telemetry.ignore_battery_temp (double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.ignore_battery_temp (double precision) IS
'As telemetry.ignore_measure, of a battery temperature: -60 to 120 degrees Celsius, not negligible';
