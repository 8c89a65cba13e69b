-- Gives readers of the views in bi the rule of telemetry.default_meter_id, whoever wrote it, without the right to its
-- tables.

CREATE OR REPLACE FUNCTION telemetry.find_default_meter(p_vehicle_id text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    RETURN telemetry.default_meter_id(p_vehicle_id);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.find_default_meter (text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.find_default_meter (text) TO energy_bi;

COMMENT ON FUNCTION telemetry.find_default_meter (text) IS
'telemetry.default_meter_id, for readers without access to telemetry';
