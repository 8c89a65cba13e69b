-- The limits of the state of charge, stated once.

CREATE OR REPLACE FUNCTION telemetry.ignore_soc(p_soc double precision) RETURNS api.ignored_measure
LANGUAGE sql STABLE PARALLEL SAFE
RETURN telemetry.ignore_measure('soc', p_soc, 0, 100, '%');

REVOKE EXECUTE ON FUNCTION telemetry.ignore_soc (double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.ignore_soc (double precision) IS
'As telemetry.ignore_measure, of a state of charge: 0 to 100 percent, not negligible';
