-- A day of another zone has other quarter hours, so the daily aggregates begin anew. The views on top of them are
-- dropped with them, and return when the code is applied: `energy time-zone` does all of it.

CREATE OR REPLACE FUNCTION ops.set_time_zone(p_time_zone text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET standard_conforming_strings = on
AS $$
BEGIN
    PERFORM api.await_standbys();
    PERFORM now() AT TIME ZONE p_time_zone; -- raises for an unknown zone
    DROP VIEW IF EXISTS bi.fleet_cost_daily;
    DROP VIEW IF EXISTS bi.vehicle_cost_daily;
    DROP VIEW IF EXISTS bi.fleet_efficiency_daily;
    DROP VIEW IF EXISTS bi.vehicle_efficiency_daily;
    DROP VIEW IF EXISTS bi.vehicle_standby_daily;
    DROP VIEW IF EXISTS bi.meter_day;
    DROP VIEW IF EXISTS bi.vehicle_day;
    -- own jobs, unlike TimescaleDB's policies, would stay, and ops.apply_policies would take them for those of the new
    -- aggregates
    PERFORM public.delete_job(j.job_id) FROM ops.policy_job AS j WHERE j.object LIKE 'bi.%\_daily';
    DROP MATERIALIZED VIEW bi.meter_daily;
    DROP MATERIALIZED VIEW bi.vehicle_daily;
    UPDATE telemetry.fleet SET time_zone = p_time_zone;
    PERFORM ops.make_daily_aggregates(p_time_zone);
    PERFORM ops.recompute_sessions(); -- they have the AC energy of each day
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_time_zone (text) FROM PUBLIC;

COMMENT ON FUNCTION ops.set_time_zone (text) IS
'Recreates the daily aggregates, empty, for the days of a time zone (IANA name); `energy time-zone` calls it, restores the views on top of them and the jobs, and fills them';
