-- The statuses, stated once. A ratio is judged as displayed, with 4 decimals: the last bits of a floating-point sum
-- cannot make 1.0 impossible or 0.85 low. A time shorter than the interval of either device cannot be judged: one
-- reading's energy belongs to more than that time. A quarter more is allowed, as intervals jitter. Inlined, as
-- efficiency_ratio.

CREATE OR REPLACE FUNCTION telemetry.efficiency_status(
    p_kwh_ac double precision, p_kwh_dc double precision, p_time interval, p_interval interval, p_standby_kw double precision
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_kwh_ac IS NULL OR p_kwh_dc IS NULL OR p_interval > p_time * 1.25 THEN 'unknown'
    WHEN p_kwh_dc = 0 AND p_kwh_ac <= p_standby_kw * EXTRACT(EPOCH FROM p_time)::double precision / 3600 THEN 'idle'
    WHEN telemetry.plain_ratio(p_kwh_ac, p_kwh_dc) < 0.85 THEN 'low'
    WHEN telemetry.plain_ratio(p_kwh_ac, p_kwh_dc) <= 1 THEN 'normal'
    ELSE 'impossible'
END;

REVOKE EXECUTE ON FUNCTION telemetry.efficiency_status (
    double precision, double precision, interval, interval, double precision
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.efficiency_status (
    double precision, double precision, interval, interval, double precision
) TO energy_bi;

COMMENT ON FUNCTION telemetry.efficiency_status (
    double precision, double precision, interval, interval, double precision
) IS
'Status of DC delivered / AC consumed (both kWh) in p_time: low below 0.85 (a fault or leakage), normal to 1, impossible above 1 or if energy was delivered and none consumed, idle if nothing was delivered and no more than p_standby_kw (kW) was drawn, unknown if either is NULL or p_time is shorter than p_interval, the longer of the intervals of both devices';
