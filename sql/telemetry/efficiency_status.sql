-- The thresholds of the mission, stated once. A ratio is judged as it is shown, rounded to 4 decimals, so that the last
-- bits of a floating-point sum cannot make 1.0 impossible or 0.85 low. Inlined, as efficiency_ratio.

CREATE OR REPLACE FUNCTION telemetry.efficiency_status(p_kwh_ac double precision, p_kwh_dc double precision)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_kwh_ac IS NULL OR p_kwh_dc IS NULL OR (p_kwh_ac = 0 AND p_kwh_dc = 0) THEN 'unknown'
    WHEN telemetry.efficiency_ratio(p_kwh_ac, p_kwh_dc) < 0.85 THEN 'low'
    WHEN telemetry.efficiency_ratio(p_kwh_ac, p_kwh_dc) <= 1 THEN 'normal'
    ELSE 'impossible'
END;

REVOKE EXECUTE ON FUNCTION telemetry.efficiency_status (double precision, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.efficiency_status (double precision, double precision) TO energy_bi;

COMMENT ON FUNCTION telemetry.efficiency_status (double precision, double precision) IS
'What DC delivered / AC consumed (both kWh) says: low below 0.85 (a fault or leakage), normal to 1, impossible above 1 or where energy was delivered and none consumed, unknown where either is NULL or both are 0';
