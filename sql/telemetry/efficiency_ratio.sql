-- The ratio of every answer and view: only if there is an efficiency to judge. The ratio of a parked car would be 0,
-- and lead every list that begins with the worst. Inlined, as plain_ratio.

CREATE OR REPLACE FUNCTION telemetry.efficiency_ratio(
    p_kwh_ac double precision, p_kwh_dc double precision, p_time interval, p_interval interval, p_standby_kw double precision
) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN telemetry.efficiency_status(p_kwh_ac, p_kwh_dc, p_time, p_interval, p_standby_kw) NOT IN ('unknown', 'idle')
        THEN telemetry.plain_ratio(p_kwh_ac, p_kwh_dc)
END;

REVOKE EXECUTE ON FUNCTION telemetry.efficiency_ratio (
    double precision, double precision, interval, interval, double precision
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.efficiency_ratio (
    double precision, double precision, interval, interval, double precision
) TO energy_bi;

COMMENT ON FUNCTION telemetry.efficiency_ratio (
    double precision, double precision, interval, interval, double precision
) IS
'DC delivered / AC consumed (both kWh) in p_time, rounded to 4 decimals; NULL if telemetry.efficiency_status of the same is unknown or idle, no AC was consumed, or it is above 1e6';
