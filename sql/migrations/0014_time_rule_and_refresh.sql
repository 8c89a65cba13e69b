-- The time rule and the refresh (docs/adr/0008, 0009). A reading's energy is that of the interval that ends at its
-- timestamp, so it counts in (start, end]. The histories therefore keep counted_at, one microsecond before the device's
-- time, which makes half-open buckets, windows, links and chunks count it where it belongs. The aggregates are made anew on
-- it; of what retention has dropped from the history, they keep what they held.
-- The service does not run meanwhile (docs/operations.md, Upgrades), so that nobody misses what goes.
-- squawk-ignore-file ban-drop-view, ban-drop-table, ban-drop-column, ban-drop-constraint, ban-drop-not-null, ban-drop-function, renaming-table, renaming-object

SET LOCAL ROLE energy_owner;

-- jobs of the refresh by tiers, and retention that does not ask the aggregates; ops.apply_policies makes those of this version
SELECT public.delete_job(j.job_id) FROM timescaledb_information.jobs AS j
WHERE j.proc_schema = 'ops'
    OR (j.proc_name = 'policy_retention' AND j.hypertable_schema || '.' || j.hypertable_name = 'telemetry.rejected_reading');

CREATE TEMPORARY TABLE pg_temp.old_bucket ON COMMIT DROP AS
SELECT k.aggregate, k.bucket_row
FROM (
    SELECT 'meter_15min' AS aggregate, a.bucket, to_jsonb(a) AS bucket_row FROM bi.meter_15min AS a
    UNION ALL
    SELECT 'meter_hourly', a.bucket, to_jsonb(a) FROM bi.meter_hourly AS a
    UNION ALL
    SELECT 'meter_daily', a.bucket, to_jsonb(a) FROM bi.meter_daily AS a
    UNION ALL
    SELECT 'vehicle_15min', a.bucket, to_jsonb(a) FROM bi.vehicle_15min AS a
    UNION ALL
    SELECT 'vehicle_hourly', a.bucket, to_jsonb(a) FROM bi.vehicle_hourly AS a
    UNION ALL
    SELECT 'vehicle_daily', a.bucket, to_jsonb(a) FROM bi.vehicle_daily AS a
) AS k
LEFT JOIN (
    SELECT i.hypertable_name, min(i.range_start) AS oldest
    FROM timescaledb_information.chunks AS i
    WHERE i.hypertable_schema = 'telemetry'
    GROUP BY i.hypertable_name
) AS h ON h.hypertable_name = split_part(k.aggregate, '_', 1) || '_telemetry_history'
WHERE k.bucket < coalesce(h.oldest, 'infinity');

DROP VIEW IF EXISTS ops.archive_guard;
DROP VIEW IF EXISTS bi.fleet_efficiency_daily;
DROP VIEW IF EXISTS bi.vehicle_efficiency_daily;
DROP VIEW IF EXISTS bi.vehicle_efficiency_hourly;
DROP MATERIALIZED VIEW bi.meter_daily;
DROP MATERIALIZED VIEW bi.vehicle_daily;
DROP MATERIALIZED VIEW bi.meter_hourly;
DROP MATERIALIZED VIEW bi.vehicle_hourly;
DROP MATERIALIZED VIEW bi.meter_15min;
DROP MATERIALIZED VIEW bi.vehicle_15min;

ALTER TABLE telemetry.meter_telemetry_history RENAME TO old_meter_history;
ALTER TABLE telemetry.vehicle_telemetry_history RENAME TO old_vehicle_history;
ALTER INDEX telemetry.meter_telemetry_history_pkey RENAME TO old_meter_history_pkey;
ALTER INDEX telemetry.vehicle_telemetry_history_pkey RENAME TO old_vehicle_history_pkey;

CREATE TABLE telemetry.meter_telemetry_history (
    meter_id text COLLATE "C" NOT NULL,
    counted_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    kwh_consumed_ac double precision NOT NULL,
    voltage double precision NOT NULL,
    register_kwh double precision,
    register_dip boolean,
    PRIMARY KEY (meter_id, counted_at)
);

COMMENT ON TABLE telemetry.meter_telemetry_history IS 'Every accepted reading of every smart meter (AC side); append-only';
COMMENT ON COLUMN telemetry.meter_telemetry_history.meter_id IS 'The meter''s id';
COMMENT ON COLUMN telemetry.meter_telemetry_history.counted_at IS 'The last microsecond of the interval the energy belongs to: the meter''s own time (recorded_at) is one microsecond later. telemetry.recorded_at and telemetry.counted_at convert';
COMMENT ON COLUMN telemetry.meter_telemetry_history.received_at IS 'The server''s time when the reading was stored';
COMMENT ON COLUMN telemetry.meter_telemetry_history.kwh_consumed_ac IS 'AC energy drawn in the interval that ends at recorded_at, kWh';
COMMENT ON COLUMN telemetry.meter_telemetry_history.voltage IS 'Mains voltage, V';
COMMENT ON COLUMN telemetry.meter_telemetry_history.register_kwh IS 'The running register as it was sent, kWh; NULL for a device that sends interval energy';
COMMENT ON COLUMN telemetry.meter_telemetry_history.register_dip IS 'True where the register fell by at most a tenth: no energy, and the next one is compared with what was before';

CREATE TABLE telemetry.vehicle_telemetry_history (
    vehicle_id text COLLATE "C" NOT NULL,
    counted_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    soc double precision NOT NULL,
    kwh_delivered_dc double precision NOT NULL,
    battery_temp double precision NOT NULL,
    register_kwh double precision,
    register_dip boolean,
    PRIMARY KEY (vehicle_id, counted_at)
);

COMMENT ON TABLE telemetry.vehicle_telemetry_history IS 'Every accepted reading of every vehicle (DC side); append-only';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.counted_at IS 'The last microsecond of the interval the energy belongs to: the vehicle''s own time (recorded_at) is one microsecond later. telemetry.recorded_at and telemetry.counted_at convert';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.received_at IS 'The server''s time when the reading was stored';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.soc IS 'State of charge of the battery, percent';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.kwh_delivered_dc IS 'DC energy that reached the battery in the interval that ends at recorded_at, kWh';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.battery_temp IS 'Battery temperature, degrees Celsius';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.register_kwh IS 'The running register as it was sent, kWh; NULL for a device that sends interval energy';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.register_dip IS 'True where the register fell by at most a tenth: no energy, and the next one is compared with what was before';

SELECT public.create_hypertable(
    'telemetry.meter_telemetry_history',
    public.by_range('counted_at', INTERVAL '1 day'),
    create_default_indexes => FALSE
);
SELECT public.create_hypertable(
    'telemetry.vehicle_telemetry_history',
    public.by_range('counted_at', INTERVAL '1 day'),
    create_default_indexes => FALSE
);

-- the chunk interval that the policy has applied until now stays
SELECT public.set_chunk_time_interval(p.object::pg_catalog.regclass, p.chunk_interval)
FROM ops.policy AS p
WHERE p.object LIKE 'telemetry.%history' AND p.chunk_interval <> INTERVAL '1 day';

ALTER TABLE telemetry.meter_telemetry_history SET (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'meter_id',
    timescaledb.orderby = 'counted_at DESC'
);
ALTER TABLE telemetry.vehicle_telemetry_history SET (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'vehicle_id',
    timescaledb.orderby = 'counted_at DESC'
);

INSERT INTO telemetry.meter_telemetry_history
SELECT
    h.meter_id, h.recorded_at - INTERVAL '1 microsecond', h.received_at, h.kwh_consumed_ac, h.voltage, h.register_kwh, h.register_dip
FROM telemetry.old_meter_history AS h;
INSERT INTO telemetry.vehicle_telemetry_history
SELECT
    h.vehicle_id, h.recorded_at - INTERVAL '1 microsecond', h.received_at, h.soc, h.kwh_delivered_dc, h.battery_temp,
    h.register_kwh, h.register_dip
FROM telemetry.old_vehicle_history AS h;

DROP TABLE telemetry.old_meter_history;
DROP TABLE telemetry.old_vehicle_history;

-- The aggregates as migration 0010 describes them, on counted_at. A mean is taken over what was measured.

CREATE MATERIALIZED VIEW bi.meter_15min
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '7 days') AS
SELECT
    meter_id,
    public.time_bucket('15 minutes', counted_at) AS bucket,
    sum(kwh_consumed_ac) AS kwh_consumed_ac,
    count(*) AS readings,
    min(voltage) AS voltage_min,
    avg(voltage) AS voltage_avg,
    max(voltage) AS voltage_max,
    sum(voltage) AS voltage_sum,
    count(voltage) AS voltage_readings
FROM telemetry.meter_telemetry_history
GROUP BY 1, 2
WITH NO DATA;

COMMENT ON VIEW bi.meter_15min IS 'Quarter hours of every smart meter';
COMMENT ON COLUMN bi.meter_15min.meter_id IS 'The meter''s id';
COMMENT ON COLUMN bi.meter_15min.bucket IS 'Start of the quarter hour: it holds readings after that, up to and including its end';
COMMENT ON COLUMN bi.meter_15min.kwh_consumed_ac IS 'AC energy drawn, kWh';
COMMENT ON COLUMN bi.meter_15min.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.meter_15min.voltage_min IS 'Lowest mains voltage, V; NULL where none was measured';
COMMENT ON COLUMN bi.meter_15min.voltage_avg IS 'Mean mains voltage, V, over the readings that measured it. Do not average it: see voltage_sum';
COMMENT ON COLUMN bi.meter_15min.voltage_max IS 'Highest mains voltage, V; NULL where none was measured';
COMMENT ON COLUMN bi.meter_15min.voltage_sum IS 'Sum of the measured mains voltage, V: divide sums of it by sums of voltage_readings for the mean over several buckets or devices';
COMMENT ON COLUMN bi.meter_15min.voltage_readings IS 'Readings in the bucket that measured the mains voltage';

CREATE MATERIALIZED VIEW bi.vehicle_15min
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '7 days') AS
SELECT
    vehicle_id,
    public.time_bucket('15 minutes', counted_at) AS bucket,
    sum(kwh_delivered_dc) AS kwh_delivered_dc,
    count(*) AS readings,
    min(battery_temp) AS battery_temp_min,
    avg(battery_temp) AS battery_temp_avg,
    max(battery_temp) AS battery_temp_max,
    sum(battery_temp) AS battery_temp_sum,
    public.first(soc, counted_at) FILTER (WHERE soc IS NOT NULL) AS soc_first,
    public.last(soc, counted_at) FILTER (WHERE soc IS NOT NULL) AS soc_last,
    count(battery_temp) AS battery_temp_readings
FROM telemetry.vehicle_telemetry_history
GROUP BY 1, 2
WITH NO DATA;

COMMENT ON VIEW bi.vehicle_15min IS 'Quarter hours of every vehicle';
COMMENT ON COLUMN bi.vehicle_15min.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_15min.bucket IS 'Start of the quarter hour: it holds readings after that, up to and including its end';
COMMENT ON COLUMN bi.vehicle_15min.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
COMMENT ON COLUMN bi.vehicle_15min.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_min IS 'Lowest battery temperature, degrees Celsius; NULL where none was measured';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings that measured it. Do not average it: see battery_temp_sum';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_max IS 'Highest battery temperature, degrees Celsius; NULL where none was measured';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_sum IS 'Sum of the measured battery temperature, degrees Celsius: divide sums of it by sums of battery_temp_readings for the mean over several buckets or devices';
COMMENT ON COLUMN bi.vehicle_15min.soc_first IS 'State of charge at the first reading that measured it, percent';
COMMENT ON COLUMN bi.vehicle_15min.soc_last IS 'State of charge at the last reading that measured it, percent';
COMMENT ON COLUMN bi.vehicle_15min.battery_temp_readings IS 'Readings in the bucket that measured the battery temperature';

CREATE MATERIALIZED VIEW bi.meter_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '28 days') AS
SELECT
    meter_id,
    public.time_bucket('1 hour', bucket) AS bucket,
    sum(kwh_consumed_ac) AS kwh_consumed_ac,
    sum(readings)::bigint AS readings,
    min(voltage_min) AS voltage_min,
    sum(voltage_sum) / nullif(sum(voltage_readings), 0)::double precision AS voltage_avg,
    max(voltage_max) AS voltage_max,
    sum(voltage_sum) AS voltage_sum,
    sum(voltage_readings)::bigint AS voltage_readings
FROM bi.meter_15min
GROUP BY 1, 2
WITH NO DATA;

COMMENT ON VIEW bi.meter_hourly IS 'Hours (of UTC) of every smart meter';
COMMENT ON COLUMN bi.meter_hourly.meter_id IS 'The meter''s id';
COMMENT ON COLUMN bi.meter_hourly.bucket IS 'Start of the hour: it holds readings after that, up to and including its end';
COMMENT ON COLUMN bi.meter_hourly.kwh_consumed_ac IS 'AC energy drawn, kWh';
COMMENT ON COLUMN bi.meter_hourly.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.meter_hourly.voltage_min IS 'Lowest mains voltage, V; NULL where none was measured';
COMMENT ON COLUMN bi.meter_hourly.voltage_avg IS 'Mean mains voltage, V, over the readings that measured it. Do not average it: see voltage_sum';
COMMENT ON COLUMN bi.meter_hourly.voltage_max IS 'Highest mains voltage, V; NULL where none was measured';
COMMENT ON COLUMN bi.meter_hourly.voltage_sum IS 'Sum of the measured mains voltage, V: divide sums of it by sums of voltage_readings for the mean over several buckets or devices';
COMMENT ON COLUMN bi.meter_hourly.voltage_readings IS 'Readings in the bucket that measured the mains voltage';

CREATE MATERIALIZED VIEW bi.vehicle_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE, timescaledb.chunk_interval = '28 days') AS
SELECT
    vehicle_id,
    public.time_bucket('1 hour', bucket) AS bucket,
    sum(kwh_delivered_dc) AS kwh_delivered_dc,
    sum(readings)::bigint AS readings,
    min(battery_temp_min) AS battery_temp_min,
    sum(battery_temp_sum) / nullif(sum(battery_temp_readings), 0)::double precision AS battery_temp_avg,
    max(battery_temp_max) AS battery_temp_max,
    sum(battery_temp_sum) AS battery_temp_sum,
    public.first(soc_first, bucket) FILTER (WHERE soc_first IS NOT NULL) AS soc_first,
    public.last(soc_last, bucket) FILTER (WHERE soc_last IS NOT NULL) AS soc_last,
    sum(battery_temp_readings)::bigint AS battery_temp_readings
FROM bi.vehicle_15min
GROUP BY 1, 2
WITH NO DATA;

COMMENT ON VIEW bi.vehicle_hourly IS 'Hours (of UTC) of every vehicle';
COMMENT ON COLUMN bi.vehicle_hourly.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_hourly.bucket IS 'Start of the hour: it holds readings after that, up to and including its end';
COMMENT ON COLUMN bi.vehicle_hourly.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
COMMENT ON COLUMN bi.vehicle_hourly.readings IS 'Readings in the bucket';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_min IS 'Lowest battery temperature, degrees Celsius; NULL where none was measured';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings that measured it. Do not average it: see battery_temp_sum';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_max IS 'Highest battery temperature, degrees Celsius; NULL where none was measured';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_sum IS 'Sum of the measured battery temperature, degrees Celsius: divide sums of it by sums of battery_temp_readings for the mean over several buckets or devices';
COMMENT ON COLUMN bi.vehicle_hourly.soc_first IS 'State of charge at the first reading that measured it, percent';
COMMENT ON COLUMN bi.vehicle_hourly.soc_last IS 'State of charge at the last reading that measured it, percent';
COMMENT ON COLUMN bi.vehicle_hourly.battery_temp_readings IS 'Readings in the bucket that measured the battery temperature';

GRANT SELECT ON bi.meter_15min, bi.vehicle_15min, bi.meter_hourly, bi.vehicle_hourly TO energy_bi;

CREATE TABLE telemetry.changed_midnight (
    kind text NOT NULL CHECK (kind IN ('meter', 'vehicle')),
    day timestamptz NOT NULL,
    changed_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (kind, day, changed_by)
);

COMMENT ON TABLE telemetry.changed_midnight IS 'Days (of the fleet''s time zone) of which the first quarter hour has changed since they were refreshed by force: TimescaleDB''s own account may miss them';
COMMENT ON COLUMN telemetry.changed_midnight.kind IS 'meter or vehicle';
COMMENT ON COLUMN telemetry.changed_midnight.day IS 'Start of the day';
COMMENT ON COLUMN telemetry.changed_midnight.changed_by IS 'The transaction: a refresh takes away what it has seen, and no more';

-- the trigger needs its function to be there; the code of this version replaces the body
CREATE FUNCTION telemetry.note_changed_midnight() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_changed_midnight () FROM PUBLIC;

-- State, not code: a change of the columns of the daily aggregates has to make them anew, which is a migration's work.
-- The trigger keeps the account of days that TimescaleDB's may miss (telemetry.note_changed_midnight).
CREATE OR REPLACE FUNCTION ops.make_daily_aggregates(p_time_zone text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_quarters record;
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
            sum(voltage_sum) / nullif(sum(voltage_readings), 0)::double precision AS voltage_avg,
            max(voltage_max) AS voltage_max,
            sum(voltage_sum) AS voltage_sum,
            sum(voltage_readings)::bigint AS voltage_readings
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
            sum(battery_temp_sum) / nullif(sum(battery_temp_readings), 0)::double precision AS battery_temp_avg,
            max(battery_temp_max) AS battery_temp_max,
            sum(battery_temp_sum) AS battery_temp_sum,
            public.first(soc_first, bucket) FILTER (WHERE soc_first IS NOT NULL) AS soc_first,
            public.last(soc_last, bucket) FILTER (WHERE soc_last IS NOT NULL) AS soc_last,
            sum(battery_temp_readings)::bigint AS battery_temp_readings
        FROM bi.vehicle_15min
        GROUP BY 1, 2
        WITH NO DATA
        $$, p_time_zone
    );

    COMMENT ON VIEW bi.meter_daily IS 'Days (of the fleet''s time zone) of every smart meter';
    COMMENT ON COLUMN bi.meter_daily.meter_id IS 'The meter''s id';
    COMMENT ON COLUMN bi.meter_daily.bucket IS 'Start of the day, midnight of the fleet''s time zone: it holds readings after that, up to and including the next midnight';
    COMMENT ON COLUMN bi.meter_daily.kwh_consumed_ac IS 'AC energy drawn, kWh';
    COMMENT ON COLUMN bi.meter_daily.readings IS 'Readings in the bucket';
    COMMENT ON COLUMN bi.meter_daily.voltage_min IS 'Lowest mains voltage, V; NULL where none was measured';
    COMMENT ON COLUMN bi.meter_daily.voltage_avg IS 'Mean mains voltage, V, over the readings that measured it. Do not average it: see voltage_sum';
    COMMENT ON COLUMN bi.meter_daily.voltage_max IS 'Highest mains voltage, V; NULL where none was measured';
    COMMENT ON COLUMN bi.meter_daily.voltage_sum IS 'Sum of the measured mains voltage, V: divide sums of it by sums of voltage_readings for the mean over several buckets or devices';
    COMMENT ON COLUMN bi.meter_daily.voltage_readings IS 'Readings in the bucket that measured the mains voltage';

    COMMENT ON VIEW bi.vehicle_daily IS 'Days (of the fleet''s time zone) of every vehicle';
    COMMENT ON COLUMN bi.vehicle_daily.vehicle_id IS 'The vehicle''s id';
    COMMENT ON COLUMN bi.vehicle_daily.bucket IS 'Start of the day, midnight of the fleet''s time zone: it holds readings after that, up to and including the next midnight';
    COMMENT ON COLUMN bi.vehicle_daily.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
    COMMENT ON COLUMN bi.vehicle_daily.readings IS 'Readings in the bucket';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_min IS 'Lowest battery temperature, degrees Celsius; NULL where none was measured';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings that measured it. Do not average it: see battery_temp_sum';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_max IS 'Highest battery temperature, degrees Celsius; NULL where none was measured';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_sum IS 'Sum of the measured battery temperature, degrees Celsius: divide sums of it by sums of battery_temp_readings for the mean over several buckets or devices';
    COMMENT ON COLUMN bi.vehicle_daily.soc_first IS 'State of charge at the first reading that measured it, percent';
    COMMENT ON COLUMN bi.vehicle_daily.soc_last IS 'State of charge at the last reading that measured it, percent';
    COMMENT ON COLUMN bi.vehicle_daily.battery_temp_readings IS 'Readings in the bucket that measured the battery temperature';

    GRANT SELECT ON bi.meter_daily, bi.vehicle_daily TO energy_bi;

    DELETE FROM telemetry.changed_midnight;
    FOR v_quarters IN
        SELECT
            format('%I.%I', h.schema_name, h.table_name)::pg_catalog.regclass AS materialized,
            split_part(a.user_view_name, '_', 1) AS stream
        FROM _timescaledb_catalog.continuous_agg AS a
        JOIN _timescaledb_catalog.hypertable AS h ON a.mat_hypertable_id = h.id
        WHERE a.user_view_schema = 'bi' AND a.user_view_name IN ('meter_15min', 'vehicle_15min')
    LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS note_changed_midnight ON %s', v_quarters.materialized);
        EXECUTE format(
            $$
            CREATE TRIGGER note_changed_midnight AFTER INSERT OR UPDATE ON %s FOR EACH ROW
            WHEN (new.bucket = public.time_bucket('1 day', new.bucket, %L))
            EXECUTE FUNCTION telemetry.note_changed_midnight(%L)
            $$, v_quarters.materialized, p_time_zone, v_quarters.stream
        );
    END LOOP;
END;
$function$;

SELECT ops.make_daily_aggregates(f.time_zone) FROM telemetry.fleet AS f;

-- What the aggregates kept of dropped history: until now every reading had every measure. A reading at the very end of what was
-- dropped counts in the last quarter hour of it, which no refresh touches.
DO $$
DECLARE
    v_aggregate record;
BEGIN
    FOR v_aggregate IN
        SELECT
            a.user_view_name AS name,
            format('%I.%I', h.schema_name, h.table_name)::pg_catalog.regclass AS materialized,
            k.stream AS stream,
            CASE WHEN k.stream LIKE 'meter' THEN 'kwh_consumed_ac' ELSE 'kwh_delivered_dc' END AS energy,
            CASE WHEN k.stream LIKE 'meter' THEN 'voltage' ELSE 'battery_temp' END AS measure,
            CASE WHEN k.stream LIKE 'meter' THEN '' ELSE ', soc_last = d.soc' END AS soc_set,
            CASE WHEN k.stream LIKE 'meter' THEN '' ELSE ', soc_first, soc_last' END AS soc_columns,
            CASE WHEN k.stream LIKE 'meter' THEN '' ELSE ', d.soc, d.soc' END AS soc_values,
            k.dropped_until
        FROM _timescaledb_catalog.continuous_agg AS a
        JOIN _timescaledb_catalog.hypertable AS h ON a.mat_hypertable_id = h.id
        JOIN (
            SELECT
                o.aggregate, split_part(o.aggregate, '_', 1) AS stream,
                max((o.bucket_row ->> 'bucket')::pg_catalog.timestamptz) + INTERVAL '15 minutes' AS dropped_until
            FROM pg_temp.old_bucket AS o
            GROUP BY o.aggregate
        ) AS k ON a.user_view_name = k.aggregate
        WHERE a.user_view_schema = 'bi'
    LOOP
        EXECUTE format(
            'INSERT INTO %1$s SELECT r.*
            FROM pg_temp.old_bucket AS k
            CROSS JOIN LATERAL jsonb_populate_record(
                NULL::%1$s, k.bucket_row || jsonb_build_object(%2$L, k.bucket_row -> ''readings'')
            ) AS r
            WHERE k.aggregate = %3$L',
            v_aggregate.materialized, v_aggregate.measure || '_readings', v_aggregate.name
        );
        IF v_aggregate.name LIKE '%\_15min' THEN
            EXECUTE format(
                'MERGE INTO %1$s AS m
                USING (
                    SELECT h.*, $1 - INTERVAL ''15 minutes'' AS bucket FROM telemetry.%2$s_telemetry_history AS h
                    WHERE h.counted_at < $1
                ) AS d
                ON m.%2$s_id = d.%2$s_id AND m.bucket = d.bucket
                WHEN MATCHED THEN UPDATE SET
                    %3$s = m.%3$s + d.%3$s, readings = m.readings + 1,
                    %4$s_min = least(m.%4$s_min, d.%4$s), %4$s_avg = (m.%4$s_sum + d.%4$s) / (m.readings + 1),
                    %4$s_max = greatest(m.%4$s_max, d.%4$s), %4$s_sum = m.%4$s_sum + d.%4$s,
                    %4$s_readings = m.%4$s_readings + 1 %5$s
                WHEN NOT MATCHED THEN INSERT (
                    %2$s_id, bucket, %3$s, readings, %4$s_min, %4$s_avg, %4$s_max, %4$s_sum, %4$s_readings %6$s
                )
                VALUES (d.%2$s_id, d.bucket, d.%3$s, 1, d.%4$s, d.%4$s, d.%4$s, d.%4$s, 1 %7$s)',
                v_aggregate.materialized, v_aggregate.stream, v_aggregate.energy, v_aggregate.measure,
                v_aggregate.soc_set, v_aggregate.soc_columns, v_aggregate.soc_values
            ) USING v_aggregate.dropped_until;
        END IF;
    END LOOP;
END;
$$;

-- The refresh follows what is stale, so it has no tiers, and an import has nothing to note.

-- it could not wait for ops.apply_policies; now it is one of the faults that ops.policy_faults names
ALTER TABLE ops.policy DROP CONSTRAINT a_history_accepts_readings;

ALTER TABLE ops.policy DROP COLUMN live_start;
ALTER TABLE ops.policy DROP COLUMN live_end;
ALTER TABLE ops.policy DROP COLUMN live_every;
ALTER TABLE ops.policy DROP COLUMN late_start;
ALTER TABLE ops.policy DROP COLUMN late_every;
ALTER TABLE ops.policy ADD COLUMN refresh_after interval;
ALTER TABLE ops.policy ADD COLUMN refresh_every interval;

COMMENT ON COLUMN ops.policy.refresh_after IS 'Age (of its end) at which a bucket is materialized; what is newer is read in real time; of the aggregates only';
COMMENT ON COLUMN ops.policy.refresh_every IS 'How often what is stale in the aggregates of a kind is refreshed, quarter hours first; of the 15min aggregates only';

UPDATE ops.policy SET refresh_after = '5 minutes' WHERE object LIKE 'bi.%';
UPDATE ops.policy SET refresh_every = '3 minutes' WHERE object LIKE 'bi.%\_15min';

GRANT UPDATE (refresh_after, refresh_every) ON ops.policy TO energy_dba;

-- the trigger needs its function to be there; the code of this version replaces the body
CREATE FUNCTION ops.check_policies() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.check_policies () FROM PUBLIC;

-- deferred, so that rows which depend on each other can change in one transaction
CREATE CONSTRAINT TRIGGER policies_lose_nothing
AFTER INSERT OR UPDATE OR DELETE ON ops.policy
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION ops.check_policies();

DROP TABLE telemetry.stale_day;

CREATE TABLE telemetry.refresh_state (
    kind text PRIMARY KEY CHECK (kind IN ('meter', 'vehicle')),
    received_until timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

COMMENT ON TABLE telemetry.refresh_state IS 'How far the aggregates of a kind of device have been refreshed: one row a kind';
COMMENT ON COLUMN telemetry.refresh_state.kind IS 'meter or vehicle';
COMMENT ON COLUMN telemetry.refresh_state.received_until IS 'The last run that refreshed all that was stale began then: readings received before it are in the aggregates';
COMMENT ON COLUMN telemetry.refresh_state.finished_at IS 'When that run ended; NULL before the first';

INSERT INTO telemetry.refresh_state (kind) VALUES ('meter'), ('vehicle');

CREATE TABLE telemetry.source_chunk (
    source text NOT NULL,
    chunk text NOT NULL,
    during tstzrange NOT NULL,
    PRIMARY KEY (source, chunk)
);

COMMENT ON TABLE telemetry.source_chunk IS 'Chunks that aggregates are made of, as the last refresh found them: one that is gone was dropped';
COMMENT ON COLUMN telemetry.source_chunk.source IS 'The history or aggregate, with its schema';
COMMENT ON COLUMN telemetry.source_chunk.chunk IS 'The chunk''s table, with its schema: TimescaleDB gives no name twice';
COMMENT ON COLUMN telemetry.source_chunk.during IS 'The time it covers';

CREATE TABLE telemetry.dropped_time (
    source text PRIMARY KEY,
    times tstzmultirange NOT NULL
);

COMMENT ON TABLE telemetry.dropped_time IS 'Times of which an aggregate''s source was dropped: only the aggregate is left of them, and no refresh touches it, whatever comes late';
COMMENT ON COLUMN telemetry.dropped_time.source IS 'The history or aggregate, with its schema';
COMMENT ON COLUMN telemetry.dropped_time.times IS 'The times; ops.take_up_again takes out of them what was stored again';

INSERT INTO telemetry.dropped_time (source, times)
SELECT
    'telemetry.' || s.stream || '_telemetry_history',
    coalesce(
        (
            SELECT tstzmultirange(tstzrange(
                min((k.bucket_row ->> 'bucket')::pg_catalog.timestamptz),
                max((k.bucket_row ->> 'bucket')::pg_catalog.timestamptz) + INTERVAL '15 minutes'
            ))
            FROM pg_temp.old_bucket AS k
            WHERE k.aggregate = s.stream || '_15min'
            HAVING count(*) > 0
        ),
        '{}'
    )
FROM (VALUES ('meter'), ('vehicle')) AS s (stream)
UNION ALL
VALUES ('bi.meter_15min', '{}'::pg_catalog.tstzmultirange), ('bi.vehicle_15min', '{}'::pg_catalog.tstzmultirange);

-- What ingest obeys: the policy as it was last applied.

CREATE TABLE ops.applied_policy (
    object text COLLATE "C" PRIMARY KEY,
    accept_for interval,
    refresh_after interval
);

COMMENT ON TABLE ops.applied_policy IS 'What of ops.policy no job or dimension carries, as ops.apply_policies last applied it: ingest and refresh obey this';
COMMENT ON COLUMN ops.applied_policy.object IS 'The table or aggregate, with its schema';
COMMENT ON COLUMN ops.applied_policy.accept_for IS 'Age beyond which a reading is rejected as timestamp_too_old; of the histories only';
COMMENT ON COLUMN ops.applied_policy.refresh_after IS 'Age (of its end) at which a bucket is materialized; of the aggregates only';

INSERT INTO ops.applied_policy (object, accept_for, refresh_after)
SELECT p.object, least(p.accept_for, p.drop_after), p.refresh_after
FROM ops.policy AS p
WHERE p.object LIKE 'telemetry.%history' OR p.object LIKE 'bi.%';

GRANT SELECT ON ops.applied_policy TO energy_dba;

-- What is known of devices: an interval that nobody has said is observed, and a device can be retired.

ALTER TABLE telemetry.meter_current_status ADD COLUMN observed_interval interval;
ALTER TABLE telemetry.vehicle_current_status ADD COLUMN observed_interval interval;

COMMENT ON COLUMN telemetry.meter_current_status.observed_interval IS 'Time between two of its readings as they come, at least a minute; a gap lengthens it by at most a quarter; NULL before the second reading';
COMMENT ON COLUMN telemetry.vehicle_current_status.observed_interval IS 'Time between two of its readings as they come, at least a minute; a gap lengthens it by at most a quarter; NULL before the second reading';

ALTER TABLE telemetry.device_profile ALTER COLUMN expected_interval DROP NOT NULL;
ALTER TABLE telemetry.device_profile ADD COLUMN retired_at timestamptz;

COMMENT ON TABLE telemetry.device_profile IS 'What is said of a device; one without a row sends interval energy';
COMMENT ON COLUMN telemetry.device_profile.expected_interval IS 'Time between two of its readings; NULL: as observed (current status), else a minute';
COMMENT ON COLUMN telemetry.device_profile.retired_at IS 'Since when the device is out of use: neither silent nor counted until it reports again; NULL for one in use';

ALTER TABLE telemetry.fleet ADD COLUMN standby_kw double precision NOT NULL DEFAULT 0.05 CHECK (standby_kw >= 0 AND standby_kw <= 1000);

COMMENT ON COLUMN telemetry.fleet.standby_kw IS 'A vehicle to which nothing was delivered is idle where its meter drew no more than this, kW; ops.set_standby_kw sets it';

-- functions that answer otherwise now, with the views on them; the code of this version makes those
DROP VIEW IF EXISTS ops.aggregate_lag;
DROP VIEW IF EXISTS ops.stale_device;
DROP FUNCTION IF EXISTS ops.measure_aggregate_lag();
DROP FUNCTION IF EXISTS ops.policy_faults();
DROP FUNCTION IF EXISTS telemetry.reading_sources(text, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS telemetry.sum_readings(text, timestamptz, timestamptz, text);
DROP FUNCTION IF EXISTS telemetry.fleet_balance(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS api.list_vehicle_efficiency_buckets(text, text, timestamptz, timestamptz, double precision);
DROP FUNCTION IF EXISTS api.list_meter_buckets(text, text, timestamptz, timestamptz, double precision, timestamptz, integer);
DROP FUNCTION IF EXISTS api.list_vehicle_buckets(text, text, timestamptz, timestamptz, double precision, timestamptz, integer);
DROP FUNCTION IF EXISTS api.get_fleet_overview();
DROP FUNCTION IF EXISTS api.get_device_profile(text, text);
DROP FUNCTION IF EXISTS api.set_device_profile(text, text, text, double precision, double precision, double precision);
