-- The last 24 hours, as the fleet's overview and the lists that are ordered by energy count them. An exact day ends now;
-- another one where the aggregates end, minutes ago.

CREATE OR REPLACE FUNCTION telemetry.recent_day(p_exact boolean, OUT period_start timestamptz, OUT period_end timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    period_end := now();
    IF NOT p_exact THEN
        period_end := least(period_end, greatest(
            now() - INTERVAL '1 day', least(telemetry.held_until('meter_15min'), telemetry.held_until('vehicle_15min'))
        ));
    END IF;
    period_start := date_trunc('hour', period_end + INTERVAL '59 minutes 59.999999 seconds', 'UTC') - INTERVAL '1 day';
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.recent_day (boolean) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.recent_day (boolean) IS
'The 24 hours up to now, or up to where the aggregates end (p_exact: FALSE), from a whole hour on: so up to an hour shorter';
