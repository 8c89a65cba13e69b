-- DC by AC, and nothing else: telemetry.efficiency_ratio decides if it is shown. Divided as numeric, which neither
-- overflows nor underflows; a ratio above a million has no meaning. One expression, inlined by the planner into views,
-- so their readers may execute it.

CREATE OR REPLACE FUNCTION telemetry.plain_ratio(p_kwh_ac double precision, p_kwh_dc double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_kwh_ac > 0 AND p_kwh_dc <= p_kwh_ac * 1e6
        THEN round(p_kwh_dc::numeric / p_kwh_ac::numeric, 4)::double precision
END;

REVOKE EXECUTE ON FUNCTION telemetry.plain_ratio (double precision, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.plain_ratio (double precision, double precision) TO energy_bi;

COMMENT ON FUNCTION telemetry.plain_ratio (double precision, double precision) IS
'DC delivered / AC consumed (both kWh), rounded to 4 decimals; NULL if either is NULL, no AC was consumed, or it is above 1e6';
