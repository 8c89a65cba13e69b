-- The column of the averaged measure of a kind.

CREATE OR REPLACE FUNCTION telemetry.measure_column(p_kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_kind WHEN 'meter' THEN 'voltage' WHEN 'vehicle' THEN 'battery_temp' END;

REVOKE EXECUTE ON FUNCTION telemetry.measure_column (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.measure_column (text) IS
'The column with the voltage (V) or the battery temperature (degrees Celsius) of a kind (meter or vehicle), in its history and status, and the prefix of its columns in the aggregates';
