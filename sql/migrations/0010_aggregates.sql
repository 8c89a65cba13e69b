-- The continuous aggregates. 15 minutes are made of readings; hours and days of the 15 minutes, which are the largest
-- piece that the local days of every time zone are made of (on hours, a day of +05:30 would come out wrong). All are
-- real-time: what is not materialized yet is added when they are read.
-- A bucket includes its start and not its end, and a reading belongs, whole, to the bucket of its recorded_at.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.fleet (
    is_only_row boolean PRIMARY KEY DEFAULT TRUE CHECK (is_only_row),
    time_zone text NOT NULL
);

COMMENT ON TABLE telemetry.fleet IS 'What holds for the whole fleet: one row';
COMMENT ON COLUMN telemetry.fleet.is_only_row IS 'Always true';
COMMENT ON COLUMN telemetry.fleet.time_zone IS 'IANA name of the zone whose days the daily aggregates have; ops.set_time_zone changes both';

INSERT INTO telemetry.fleet (time_zone)
VALUES (coalesce(nullif(current_setting('energy.time_zone', TRUE), ''), 'UTC'));

CREATE MATERIALIZED VIEW bi.meter_15min
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '7 days') AS
SELECT
    meter_id,
    public.time_bucket('15 minutes', recorded_at) AS bucket,
    sum(kwh_consumed_ac) AS kwh_consumed_ac,
    count(*) AS readings,
    min(voltage) AS voltage_min,
    avg(voltage) AS voltage_avg,
    max(voltage) AS voltage_max,
    sum(voltage) AS voltage_sum
FROM telemetry.meter_telemetry_history
GROUP BY 1, 2
WITH NO DATA;

COMMENT ON VIEW bi.meter_15min IS 'Quarter hours of every smart meter';
COMMENT ON COLUMN bi.meter_15min.meter_id IS 'The meter''s id';
COMMENT ON COLUMN bi.meter_15min.bucket IS 'Start of the quarter hour';
COMMENT ON COLUMN bi.meter_15min.kwh_consumed_ac IS 'AC energy drawn, kWh';
COMMENT ON COLUMN bi.meter_15min.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.meter_15min.voltage_min IS 'Lowest mains voltage, V';
COMMENT ON COLUMN bi.meter_15min.voltage_avg IS 'Mean mains voltage, V, over the readings';
COMMENT ON COLUMN bi.meter_15min.voltage_max IS 'Highest mains voltage, V';
COMMENT ON COLUMN bi.meter_15min.voltage_sum IS 'Sum of the readings of mains voltage, V: divide sums by sums of readings for the mean over several buckets or devices';

CREATE MATERIALIZED VIEW bi.vehicle_15min
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '7 days') AS
SELECT
    vehicle_id,
    public.time_bucket('15 minutes', recorded_at) AS bucket,
    sum(kwh_delivered_dc) AS kwh_delivered_dc,
    count(*) AS readings,
    min(battery_temp) AS battery_temp_min,
    avg(battery_temp) AS battery_temp_avg,
    max(battery_temp) AS battery_temp_max,
    sum(battery_temp) AS battery_temp_sum,
    public.first(soc, recorded_at) AS soc_first,
    public.last(soc, recorded_at) AS soc_last
FROM telemetry.vehicle_telemetry_history
GROUP BY 1, 2
WITH NO DATA;

COMMENT ON VIEW bi.vehicle_15min IS 'Quarter hours of every vehicle';
COMMENT ON COLUMN bi.vehicle_15min.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_15min.bucket IS 'Start of the quarter hour';
COMMENT ON COLUMN bi.vehicle_15min.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
COMMENT ON COLUMN bi.vehicle_15min.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_min IS 'Lowest battery temperature, degrees Celsius';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_max IS 'Highest battery temperature, degrees Celsius';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_sum IS 'Sum of the readings of battery temperature, degrees Celsius: divide sums by sums of readings for the mean over several buckets or devices';
COMMENT ON COLUMN bi.vehicle_15min.soc_first IS 'State of charge at the first reading, percent';
COMMENT ON COLUMN bi.vehicle_15min.soc_last IS 'State of charge at the last reading, percent';

CREATE MATERIALIZED VIEW bi.meter_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '28 days') AS
SELECT
    meter_id,
    public.time_bucket('1 hour', bucket) AS bucket,
    sum(kwh_consumed_ac) AS kwh_consumed_ac,
    sum(readings)::bigint AS readings,
    min(voltage_min) AS voltage_min,
    sum(voltage_sum) / sum(readings)::double precision AS voltage_avg,
    max(voltage_max) AS voltage_max,
    sum(voltage_sum) AS voltage_sum
FROM bi.meter_15min
GROUP BY 1, 2
WITH NO DATA;

COMMENT ON VIEW bi.meter_hourly IS 'Hours (of UTC) of every smart meter';
COMMENT ON COLUMN bi.meter_hourly.meter_id IS 'The meter''s id';
COMMENT ON COLUMN bi.meter_hourly.bucket IS 'Start of the hour';
COMMENT ON COLUMN bi.meter_hourly.kwh_consumed_ac IS 'AC energy drawn, kWh';
COMMENT ON COLUMN bi.meter_hourly.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.meter_hourly.voltage_min IS 'Lowest mains voltage, V';
COMMENT ON COLUMN bi.meter_hourly.voltage_avg IS 'Mean mains voltage, V, over the readings';
COMMENT ON COLUMN bi.meter_hourly.voltage_max IS 'Highest mains voltage, V';
COMMENT ON COLUMN bi.meter_hourly.voltage_sum IS 'Sum of the readings of mains voltage, V: divide sums by sums of readings for the mean over several buckets or devices';

CREATE MATERIALIZED VIEW bi.vehicle_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '28 days') AS
SELECT
    vehicle_id,
    public.time_bucket('1 hour', bucket) AS bucket,
    sum(kwh_delivered_dc) AS kwh_delivered_dc,
    sum(readings)::bigint AS readings,
    min(battery_temp_min) AS battery_temp_min,
    sum(battery_temp_sum) / sum(readings)::double precision AS battery_temp_avg,
    max(battery_temp_max) AS battery_temp_max,
    sum(battery_temp_sum) AS battery_temp_sum,
    public.first(soc_first, bucket) AS soc_first,
    public.last(soc_last, bucket) AS soc_last
FROM bi.vehicle_15min
GROUP BY 1, 2
WITH NO DATA;

COMMENT ON VIEW bi.vehicle_hourly IS 'Hours (of UTC) of every vehicle';
COMMENT ON COLUMN bi.vehicle_hourly.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_hourly.bucket IS 'Start of the hour';
COMMENT ON COLUMN bi.vehicle_hourly.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
COMMENT ON COLUMN bi.vehicle_hourly.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_min IS 'Lowest battery temperature, degrees Celsius';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_max IS 'Highest battery temperature, degrees Celsius';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_sum IS 'Sum of the readings of battery temperature, degrees Celsius: divide sums by sums of readings for the mean over several buckets or devices';
COMMENT ON COLUMN bi.vehicle_hourly.soc_first IS 'State of charge at the first reading, percent';
COMMENT ON COLUMN bi.vehicle_hourly.soc_last IS 'State of charge at the last reading, percent';

GRANT SELECT ON bi.meter_15min, bi.vehicle_15min, bi.meter_hourly, bi.vehicle_hourly TO energy_bi;

-- Two tiers each: what is recent, often; what came late, at night. Neither reaches back to what retention drops (it would
-- come out empty), nor ahead to now (buckets that go on filling are cheaper read in real time). Each night hours and days
-- come after the quarter hours they are made of.
CREATE FUNCTION ops.add_refresh_policies(
    p_aggregate regclass, p_schedule interval, p_recent interval, p_end interval, p_night interval
) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT public.add_continuous_aggregate_policy(
        p_aggregate, start_offset => p_recent, end_offset => p_end, schedule_interval => p_schedule,
        initial_start => date_trunc('hour', now()) + INTERVAL '1 hour'
    );
    SELECT public.add_continuous_aggregate_policy(
        p_aggregate, start_offset => INTERVAL '700 days', end_offset => p_recent, schedule_interval => INTERVAL '1 day',
        initial_start => date_trunc('day', now(), 'UTC') + INTERVAL '1 day' + p_night
    );
$$;

REVOKE EXECUTE ON FUNCTION ops.add_refresh_policies (regclass, interval, interval, interval, interval) FROM PUBLIC;

COMMENT ON FUNCTION ops.add_refresh_policies (regclass, interval, interval, interval, interval) IS
'Has an aggregate refreshed every p_schedule from p_recent to p_end ago, and every night, p_night after midnight UTC, from 700 days to p_recent ago';

SELECT ops.add_refresh_policies('bi.meter_15min', '5 minutes', '3 hours', '15 minutes', '01:00');
SELECT ops.add_refresh_policies('bi.vehicle_15min', '5 minutes', '3 hours', '15 minutes', '01:10');
SELECT ops.add_refresh_policies('bi.meter_hourly', '15 minutes', '4 hours', '1 hour', '02:00');
SELECT ops.add_refresh_policies('bi.vehicle_hourly', '15 minutes', '4 hours', '1 hour', '02:10');

-- State, not code: a change of the columns of the daily aggregates has to make them anew, which is a migration's work.
CREATE FUNCTION ops.make_daily_aggregates(p_time_zone text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    EXECUTE format(
        $$
        CREATE MATERIALIZED VIEW bi.meter_daily
        WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '364 days') AS
        SELECT
            meter_id,
            public.time_bucket('1 day', bucket, %L) AS bucket,
            sum(kwh_consumed_ac) AS kwh_consumed_ac,
            sum(readings)::bigint AS readings,
            min(voltage_min) AS voltage_min,
            sum(voltage_sum) / sum(readings)::double precision AS voltage_avg,
            max(voltage_max) AS voltage_max,
            sum(voltage_sum) AS voltage_sum
        FROM bi.meter_15min
        GROUP BY 1, 2
        WITH NO DATA
        $$, p_time_zone
    );
    EXECUTE format(
        $$
        CREATE MATERIALIZED VIEW bi.vehicle_daily
        WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '364 days') AS
        SELECT
            vehicle_id,
            public.time_bucket('1 day', bucket, %L) AS bucket,
            sum(kwh_delivered_dc) AS kwh_delivered_dc,
            sum(readings)::bigint AS readings,
            min(battery_temp_min) AS battery_temp_min,
            sum(battery_temp_sum) / sum(readings)::double precision AS battery_temp_avg,
            max(battery_temp_max) AS battery_temp_max,
            sum(battery_temp_sum) AS battery_temp_sum,
            public.first(soc_first, bucket) AS soc_first,
            public.last(soc_last, bucket) AS soc_last
        FROM bi.vehicle_15min
        GROUP BY 1, 2
        WITH NO DATA
        $$, p_time_zone
    );

    COMMENT ON VIEW bi.meter_daily IS 'Days (of the fleet''s time zone) of every smart meter';
    COMMENT ON COLUMN bi.meter_daily.meter_id IS 'The meter''s id';
    COMMENT ON COLUMN bi.meter_daily.bucket IS 'Start of the day: midnight of the fleet''s time zone';
    COMMENT ON COLUMN bi.meter_daily.kwh_consumed_ac IS 'AC energy drawn, kWh';
    COMMENT ON COLUMN bi.meter_daily.readings IS 'Readings in the bucket';
    COMMENT ON COLUMN bi.meter_daily.voltage_min IS 'Lowest mains voltage, V';
    COMMENT ON COLUMN bi.meter_daily.voltage_avg IS 'Mean mains voltage, V, over the readings';
    COMMENT ON COLUMN bi.meter_daily.voltage_max IS 'Highest mains voltage, V';
    COMMENT ON COLUMN bi.meter_daily.voltage_sum IS 'Sum of the readings of mains voltage, V: divide sums by sums of readings for the mean over several buckets or devices';

    COMMENT ON VIEW bi.vehicle_daily IS 'Days (of the fleet''s time zone) of every vehicle';
    COMMENT ON COLUMN bi.vehicle_daily.vehicle_id IS 'The vehicle''s id';
    COMMENT ON COLUMN bi.vehicle_daily.bucket IS 'Start of the day: midnight of the fleet''s time zone';
    COMMENT ON COLUMN bi.vehicle_daily.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
    COMMENT ON COLUMN bi.vehicle_daily.readings IS 'Readings in the bucket';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_min IS 'Lowest battery temperature, degrees Celsius';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_max IS 'Highest battery temperature, degrees Celsius';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_sum IS 'Sum of the readings of battery temperature, degrees Celsius: divide sums by sums of readings for the mean over several buckets or devices';
    COMMENT ON COLUMN bi.vehicle_daily.soc_first IS 'State of charge at the first reading, percent';
    COMMENT ON COLUMN bi.vehicle_daily.soc_last IS 'State of charge at the last reading, percent';

    GRANT SELECT ON bi.meter_daily, bi.vehicle_daily TO energy_bi;
END;
$function$;

REVOKE EXECUTE ON FUNCTION ops.make_daily_aggregates (text) FROM PUBLIC;

COMMENT ON FUNCTION ops.make_daily_aggregates (text) IS
'Makes bi.meter_daily and bi.vehicle_daily, empty, with their comments and grants, for the days of a time zone (IANA name)';

SELECT ops.make_daily_aggregates(f.time_zone) FROM telemetry.fleet AS f;

CREATE TABLE telemetry.stale_day (
    stale_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day date NOT NULL,
    said_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE telemetry.stale_day IS 'Days of which an import stored readings, and which the aggregates have still to take up; a row per chunk and day';
COMMENT ON COLUMN telemetry.stale_day.stale_id IS 'Number of the note';
COMMENT ON COLUMN telemetry.stale_day.day IS 'The day, UTC';
COMMENT ON COLUMN telemetry.stale_day.said_at IS 'When the import stored readings of it';

-- the jobs need their procedures to be there; the code of this version replaces the bodies
CREATE PROCEDURE ops.refresh_stale_days(p_job_id integer DEFAULT NULL, p_config jsonb DEFAULT NULL)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
END;
$$;
CREATE PROCEDURE ops.refresh_daily(p_job_id integer, p_config jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
END;
$$;

REVOKE EXECUTE ON PROCEDURE ops.refresh_stale_days (integer, jsonb) FROM PUBLIC;
REVOKE EXECUTE ON PROCEDURE ops.refresh_daily (integer, jsonb) FROM PUBLIC;

SELECT public.add_job(
    'ops.refresh_stale_days', INTERVAL '15 minutes', initial_start => date_trunc('hour', now()) + INTERVAL '1 hour'
);
-- the two tiers of the daily aggregates: jobs of our own, as TimescaleDB's refresh can miss a day (docs/adr/0005)
SELECT public.add_job(
    'ops.refresh_daily', INTERVAL '1 hour', config => '{"start_offset": "4 days", "end_offset": "1 day"}',
    initial_start => date_trunc('hour', now()) + INTERVAL '1 hour 5 minutes'
);
SELECT public.add_job(
    'ops.refresh_daily', INTERVAL '1 day', config => '{"start_offset": "700 days", "end_offset": "4 days"}',
    initial_start => date_trunc('day', now(), 'UTC') + INTERVAL '1 day 3 hours'
);

RESET ROLE;

-- people log in as members of energy_bi, whom `energy migrate --bi-login` gives the same settings
ALTER ROLE energy_bi SET statement_timeout = '60s';
ALTER ROLE energy_bi SET default_transaction_read_only = on;
