-- The write path of vehicles: validates, stores history and current status in one statement, and returns the outcome of
-- each reading. Bad data never raises, so one bad device cannot fail its neighbours. Both writes are in the order of
-- the key, whatever the order of arrival: concurrent batches lock in one order and cannot deadlock. The status takes
-- only stored, newer readings, so a late one changes nothing there. enable_nestloop: a generic plan assumes ten
-- elements in any array, and would compare a thousand candidates with a thousand stored rows one by one.

CREATE OR REPLACE FUNCTION api.ingest_vehicle_readings(
    p_readings api.vehicle_reading [], p_keep_rejected boolean DEFAULT TRUE
)
RETURNS TABLE (outcome text, detail text, ignored api.ignored_measure [])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_retention CONSTANT interval := telemetry.accepted_age('vehicle');
    v_cleaned CONSTANT api.vehicle_reading[] := telemetry.ignore_vehicle_measures(p_readings);
    v_readings CONSTANT api.vehicle_reading[] := coalesce(v_cleaned, p_readings);
    v_stored bigint[];
    v_implausible bigint[];
BEGIN
    PERFORM api.await_standbys();
    IF EXISTS (SELECT FROM telemetry.device_profile AS p WHERE p.kind = 'vehicle' AND p.is_checked)
        AND telemetry.lock_device_profiles('vehicle', ARRAY(SELECT r.vehicle_id FROM unnest(p_readings) AS r))
        OR EXISTS (SELECT FROM telemetry.fleet AS f WHERE f.vehicle_max_kw IS NOT NULL)
    THEN
        SELECT s.stored, s.implausible INTO v_stored, v_implausible
        FROM telemetry.store_profiled_vehicle_readings(v_readings) AS s;
    ELSE
        WITH candidate AS (
            -- for duplicate keys in a batch, the first wins
            SELECT DISTINCT ON (r.vehicle_id, r.recorded_at)
                r.position, r.vehicle_id, r.recorded_at, r.soc, r.kwh_delivered_dc, r.battery_temp
            FROM unnest(v_readings) WITH ORDINALITY
                AS r (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source, position)
            WHERE telemetry.reject_vehicle_reading(
                r.vehicle_id, r.recorded_at, r.soc, r.kwh_delivered_dc, r.battery_temp, now(), v_retention
            ) IS NULL
            ORDER BY r.vehicle_id, r.recorded_at, r.position
        ),
        stored AS (
            INSERT INTO telemetry.vehicle_telemetry_history (vehicle_id, counted_at, soc, kwh_delivered_dc, battery_temp)
            SELECT vehicle_id, telemetry.counted_at(recorded_at), soc, kwh_delivered_dc, battery_temp
            FROM candidate
            ORDER BY vehicle_id, recorded_at
            ON CONFLICT DO NOTHING
            RETURNING vehicle_id, telemetry.recorded_at(counted_at) AS recorded_at, soc, kwh_delivered_dc, battery_temp
        ),
        latest AS (
            INSERT INTO telemetry.vehicle_current_status AS status
                (vehicle_id, recorded_at, received_at, soc, kwh_delivered_dc, battery_temp, observed_interval)
            SELECT DISTINCT ON (vehicle_id)
                vehicle_id, recorded_at, now(), soc, kwh_delivered_dc, battery_temp,
                telemetry.observe_interval(NULL, NULL, recorded_at - lag(recorded_at) OVER (PARTITION BY vehicle_id ORDER BY recorded_at))
            FROM stored
            ORDER BY vehicle_id, recorded_at DESC
            ON CONFLICT (vehicle_id) DO UPDATE SET
                recorded_at = excluded.recorded_at,
                received_at = excluded.received_at,
                soc = excluded.soc,
                kwh_delivered_dc = excluded.kwh_delivered_dc,
                battery_temp = excluded.battery_temp,
                observed_interval = telemetry.observe_interval(
                    status.observed_interval, excluded.recorded_at - status.recorded_at, excluded.observed_interval
                )
            WHERE status.recorded_at < excluded.recorded_at
        )
        SELECT array_agg(candidate.position) INTO v_stored
        FROM candidate
        JOIN stored USING (vehicle_id, recorded_at);
    END IF;

    IF cardinality(v_stored) = cardinality(p_readings) AND v_cleaned IS NULL THEN
        RETURN QUERY SELECT 'stored', NULL::text, NULL::api.ignored_measure[] FROM unnest(v_stored);
    ELSE
        RETURN QUERY
        SELECT j.outcome, j.detail, j.ignored
        FROM telemetry.judge_vehicle_readings(v_readings, p_readings, v_stored, v_implausible, p_keep_rejected) AS j;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.ingest_vehicle_readings (api.vehicle_reading [], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.ingest_vehicle_readings (api.vehicle_reading [], boolean) TO energy_service;

COMMENT ON FUNCTION api.ingest_vehicle_readings (api.vehicle_reading [], boolean) IS
'Stores an array of readings of vehicles in history and current status, in one transaction, and returns one row per reading in input order: outcome (stored, duplicate, conflict, or a reject code) and, unless stored or duplicate, the detail in words; of a stored or duplicate one also ignored, the measures outside their range, which are stored as NULL (not measured). Rejected readings, conflicts and readings stored with an ignored measure go to telemetry.rejected_reading unless p_keep_rejected is false';
