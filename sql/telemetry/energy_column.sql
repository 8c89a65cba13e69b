-- The energy column is the one difference in name that functions over both kinds have to know.

CREATE OR REPLACE FUNCTION telemetry.energy_column(p_kind text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_kind WHEN 'meter' THEN 'kwh_consumed_ac' WHEN 'vehicle' THEN 'kwh_delivered_dc' END;

REVOKE EXECUTE ON FUNCTION telemetry.energy_column (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.energy_column (text) IS
'The column with the energy (kWh) of a kind (meter or vehicle), in its history, status and aggregates';
