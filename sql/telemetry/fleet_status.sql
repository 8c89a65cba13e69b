-- A fleet is judged by its judged vehicles: their sums are neither idle nor of too short a time. One expression,
-- inlined.

CREATE OR REPLACE FUNCTION telemetry.fleet_status(
    p_kwh_ac double precision, p_kwh_dc double precision, p_vehicles_idle bigint
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_kwh_ac IS NULL AND p_vehicles_idle > 0 THEN 'idle'
    ELSE telemetry.efficiency_status(p_kwh_ac, p_kwh_dc, INTERVAL '1 day', NULL, 0)
END;

REVOKE EXECUTE ON FUNCTION telemetry.fleet_status (double precision, double precision, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.fleet_status (double precision, double precision, bigint) TO energy_bi;

COMMENT ON FUNCTION telemetry.fleet_status (double precision, double precision, bigint) IS
'Status of a fleet by the sums (kWh) of its judged vehicles, as telemetry.efficiency_status; without any: idle if p_vehicles_idle are, else unknown';
