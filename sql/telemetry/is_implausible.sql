-- Compared as numeric, which neither overflows nor underflows: a reading raises nothing, whatever the profile. Twice
-- the most, so that a slightly late reading passes, or a charger slightly above its rating. A register taken for an
-- interval, or Wh for kWh, does not.

CREATE OR REPLACE FUNCTION telemetry.is_implausible(
    p_kwh double precision, p_time interval, p_max_kw double precision
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(p_kwh::numeric * 3600 > 2 * p_max_kw::numeric * EXTRACT(EPOCH FROM p_time), FALSE);

REVOKE EXECUTE ON FUNCTION telemetry.is_implausible (double precision, interval, double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.is_implausible (double precision, interval, double precision) IS
'True if p_kwh (kWh) is more than twice the energy of p_max_kw (kW) in p_time; false if p_max_kw is NULL';
