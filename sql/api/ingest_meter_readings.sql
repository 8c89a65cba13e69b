-- The write path of meters: validates, stores history and current status in one statement, and returns the outcome of
-- each reading. Bad data never raises, so one bad device cannot fail its neighbours. Both writes are in the order of
-- the key, whatever the order of arrival: concurrent batches lock in one order and cannot deadlock. The status takes
-- only stored, newer readings, so a late one changes nothing there. enable_nestloop: a generic plan assumes ten
-- elements in any array, and would compare a thousand candidates with a thousand stored rows one by one.

CREATE OR REPLACE FUNCTION api.ingest_meter_readings(
    p_readings api.meter_reading [], p_keep_rejected boolean DEFAULT TRUE
)
RETURNS TABLE (outcome text, detail text, ignored api.ignored_measure [])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_retention CONSTANT interval := telemetry.accepted_age('meter');
    v_cleaned CONSTANT api.meter_reading[] := telemetry.ignore_meter_measures(p_readings);
    v_readings CONSTANT api.meter_reading[] := coalesce(v_cleaned, p_readings);
    v_stored bigint[];
    v_implausible bigint[];
BEGIN
    PERFORM api.await_standbys();
    IF EXISTS (SELECT FROM telemetry.device_profile AS p WHERE p.kind = 'meter' AND p.is_checked)
        AND telemetry.lock_device_profiles('meter', ARRAY(SELECT r.meter_id FROM unnest(p_readings) AS r))
        OR EXISTS (SELECT FROM telemetry.fleet AS f WHERE f.meter_max_kw IS NOT NULL)
    THEN
        SELECT s.stored, s.implausible INTO v_stored, v_implausible
        FROM telemetry.store_profiled_meter_readings(v_readings) AS s;
    ELSE
        WITH candidate AS (
            -- for duplicate keys in a batch, the first wins
            SELECT DISTINCT ON (r.meter_id, r.recorded_at)
                r.position, r.meter_id, r.recorded_at, r.kwh_consumed_ac, r.voltage
            FROM unnest(v_readings) WITH ORDINALITY
                AS r (meter_id, recorded_at, kwh_consumed_ac, voltage, source, position)
            WHERE telemetry.reject_meter_reading(
                r.meter_id, r.recorded_at, r.kwh_consumed_ac, r.voltage, now(), v_retention
            ) IS NULL
            ORDER BY r.meter_id, r.recorded_at, r.position
        ),
        stored AS (
            INSERT INTO telemetry.meter_telemetry_history (meter_id, counted_at, kwh_consumed_ac, voltage)
            SELECT meter_id, telemetry.counted_at(recorded_at), kwh_consumed_ac, voltage
            FROM candidate
            ORDER BY meter_id, recorded_at
            ON CONFLICT DO NOTHING
            RETURNING meter_id, telemetry.recorded_at(counted_at) AS recorded_at, kwh_consumed_ac, voltage
        ),
        latest AS (
            INSERT INTO telemetry.meter_current_status AS status
                (meter_id, recorded_at, received_at, kwh_consumed_ac, voltage, observed_interval)
            SELECT DISTINCT ON (meter_id)
                meter_id, recorded_at, now(), kwh_consumed_ac, voltage,
                telemetry.observe_interval(NULL, NULL, recorded_at - lag(recorded_at) OVER (PARTITION BY meter_id ORDER BY recorded_at))
            FROM stored
            ORDER BY meter_id, recorded_at DESC
            ON CONFLICT (meter_id) DO UPDATE SET
                recorded_at = excluded.recorded_at,
                received_at = excluded.received_at,
                kwh_consumed_ac = excluded.kwh_consumed_ac,
                voltage = excluded.voltage,
                observed_interval = telemetry.observe_interval(
                    status.observed_interval, excluded.recorded_at - status.recorded_at, excluded.observed_interval
                )
            WHERE status.recorded_at < excluded.recorded_at
        )
        SELECT array_agg(candidate.position) INTO v_stored
        FROM candidate
        JOIN stored USING (meter_id, recorded_at);
    END IF;

    IF cardinality(v_stored) = cardinality(p_readings) AND v_cleaned IS NULL THEN
        RETURN QUERY SELECT 'stored', NULL::text, NULL::api.ignored_measure[] FROM unnest(v_stored);
    ELSE
        RETURN QUERY
        SELECT j.outcome, j.detail, j.ignored
        FROM telemetry.judge_meter_readings(v_readings, p_readings, v_stored, v_implausible, p_keep_rejected) AS j;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.ingest_meter_readings (api.meter_reading [], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.ingest_meter_readings (api.meter_reading [], boolean) TO energy_service;

COMMENT ON FUNCTION api.ingest_meter_readings (api.meter_reading [], boolean) IS
'Stores an array of readings of meters in history and current status, in one transaction, and returns one row per reading in input order: outcome (stored, duplicate, conflict, or a reject code) and, unless stored or duplicate, the detail in words; of a stored or duplicate one also ignored, the measures outside their range, which are stored as NULL (not measured). Rejected readings, conflicts and readings stored with an ignored measure go to telemetry.rejected_reading unless p_keep_rejected is false';
