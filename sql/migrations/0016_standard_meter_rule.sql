-- The standard rule of default meters has a function of its own, and telemetry.default_meter_id returns what it says until a
-- DBA replaces it. So that body is the flag: telemetry.has_own_meter_rule reads it, and any other body is
-- a rule of the fleet's own.

SET LOCAL ROLE energy_owner;

CREATE FUNCTION telemetry.standard_meter_id(p_vehicle_id text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.meter_id
    FROM telemetry.meter_current_status AS s
    WHERE
        s.meter_id = p_vehicle_id
        OR (p_vehicle_id LIKE 'V%' AND s.meter_id = 'M' || pg_catalog.substr(p_vehicle_id, 2))
    ORDER BY s.meter_id = p_vehicle_id DESC
    LIMIT 1;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.standard_meter_id (text) FROM PUBLIC;

DO $$
BEGIN
    -- as migration 0004 made it
    IF (
        SELECT pg_catalog.md5(p.prosrc) OPERATOR(pg_catalog.=) '3c434fdd71e9c3363de12a0fe2c92248'
        FROM pg_catalog.pg_proc AS p
        WHERE p.oid OPERATOR(pg_catalog.=) pg_catalog.to_regprocedure('telemetry.default_meter_id(text)')
    ) THEN
        EXECUTE 'CREATE OR REPLACE FUNCTION telemetry.default_meter_id(p_vehicle_id text) RETURNS text '
            'LANGUAGE sql STABLE RETURN telemetry.standard_meter_id(p_vehicle_id)';
    END IF;
END;
$$;

COMMENT ON FUNCTION telemetry.default_meter_id (text) IS
'The meter of a vehicle that has no link at a time: that of telemetry.standard_meter_id, unless a DBA has replaced this function (CREATE OR REPLACE as energy_owner)';
