-- The limits of the mains voltage, stated once.

CREATE OR REPLACE FUNCTION telemetry.ignore_voltage(p_voltage double precision) RETURNS api.ignored_measure
LANGUAGE sql STABLE PARALLEL SAFE
RETURN telemetry.ignore_measure('voltage', p_voltage, 0, 1500, 'V');

REVOKE EXECUTE ON FUNCTION telemetry.ignore_voltage (double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.ignore_voltage (double precision) IS
'As telemetry.ignore_measure, of a mains voltage: 0 to 1500 V, not negligible';
