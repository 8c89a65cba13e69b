-- The dual write of an import, from the session's temporary table. Readings beyond a limit are taken out first, and
-- measures beyond theirs. Each limit but one is an interval. So if the lowest and the highest values and all ids are
-- valid, every reading is, which is cheaper than a check of each row. p_new is the caller's guess that no row was stored
-- before: a plain INSERT is then cheaper than one with ON CONFLICT. If it fails, the chunk takes the ordinary path, at the
-- cost of its dead rows; so does a chunk with profiled devices. Both writes are in the order of the key, as in
-- api.ingest_vehicle_readings.

CREATE OR REPLACE FUNCTION api.import_vehicle_readings(p_new boolean)
RETURNS TABLE (outcome text, readings bigint, place integer, detail text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_retention CONSTANT interval := telemetry.accepted_age('vehicle');
    v_low api.vehicle_reading;
    v_high api.vehicle_reading;
    v_stored bigint;
    v_places integer[];
BEGIN
    PERFORM api.await_standbys();
    PERFORM telemetry.require_import_table('import_vehicle_reading');

    SELECT
        min(vehicle_id), min(recorded_at), min(soc), min(kwh_delivered_dc), min(battery_temp), NULL
    INTO v_low FROM pg_temp.import_vehicle_reading;
    SELECT
        max(vehicle_id), max(recorded_at), max(soc), max(kwh_delivered_dc), max(battery_temp), NULL
    INTO v_high FROM pg_temp.import_vehicle_reading;
    IF telemetry.reject_vehicle_reading(
        v_high.vehicle_id, v_high.recorded_at,
        v_high.soc, v_high.kwh_delivered_dc, v_high.battery_temp, now(), v_retention
    ) IS NOT NULL OR EXISTS (
        -- OFFSET 0: else the check moves below DISTINCT and runs once a row
        SELECT FROM (SELECT DISTINCT vehicle_id FROM pg_temp.import_vehicle_reading OFFSET 0) AS s
        WHERE telemetry.reject_vehicle_reading(
            s.vehicle_id, v_low.recorded_at,
            v_low.soc, v_low.kwh_delivered_dc, v_low.battery_temp, now(), v_retention
        ) IS NOT NULL
    ) OR EXISTS (
        SELECT FROM pg_temp.import_vehicle_reading AS s WHERE telemetry.is_negligible(s.battery_temp)
    )
    OR telemetry.ignore_soc(v_low.soc) IS NOT NULL OR telemetry.ignore_soc(v_high.soc) IS NOT NULL
    OR telemetry.ignore_battery_temp(v_low.battery_temp) IS NOT NULL OR telemetry.ignore_battery_temp(v_high.battery_temp) IS NOT NULL
    THEN
        RETURN QUERY
        WITH rejected AS (
            DELETE FROM pg_temp.import_vehicle_reading AS s
            WHERE telemetry.reject_vehicle_reading(
                s.vehicle_id, s.recorded_at, s.soc, s.kwh_delivered_dc, s.battery_temp, now(), v_retention
            ) IS NOT NULL
            RETURNING s.place, telemetry.reject_vehicle_reading(
                s.vehicle_id, s.recorded_at, s.soc, s.kwh_delivered_dc, s.battery_temp, now(), v_retention
            ) AS rejection
        )
        SELECT (r.rejection).code, 1::bigint, r.place, (r.rejection).detail
        FROM rejected AS r;

        RETURN QUERY
        SELECT 'ignored', 1::bigint, s.place, (SELECT string_agg(m.detail, '; ') FROM unnest(i.ignored) AS m)
        FROM pg_temp.import_vehicle_reading AS s
        CROSS JOIN LATERAL (
            SELECT telemetry.list_ignored_measures(
                telemetry.ignore_soc(s.soc), telemetry.ignore_battery_temp(s.battery_temp)
            ) AS ignored
        ) AS i
        WHERE i.ignored IS NOT NULL;
        UPDATE pg_temp.import_vehicle_reading
        SET
            soc = CASE WHEN telemetry.ignore_soc(soc) IS NULL THEN soc END,
            battery_temp = CASE WHEN telemetry.ignore_battery_temp(battery_temp) IS NULL THEN battery_temp END
        WHERE telemetry.ignore_soc(soc) IS NOT NULL OR telemetry.ignore_battery_temp(battery_temp) IS NOT NULL;
    END IF;

    IF p_new AND NOT EXISTS (
        SELECT FROM telemetry.device_profile AS p
        WHERE
            p.kind = 'vehicle' AND p.is_checked
            AND p.device_id IN (SELECT s.vehicle_id FROM pg_temp.import_vehicle_reading AS s)
    ) THEN
        BEGIN
            INSERT INTO telemetry.vehicle_telemetry_history
                (vehicle_id, counted_at, soc, kwh_delivered_dc, battery_temp)
            SELECT vehicle_id, telemetry.counted_at(recorded_at), soc, kwh_delivered_dc, battery_temp
            FROM pg_temp.import_vehicle_reading
            ORDER BY vehicle_id, recorded_at;
            GET DIAGNOSTICS v_stored = ROW_COUNT;

            INSERT INTO telemetry.vehicle_current_status AS status
                (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, observed_interval)
            SELECT
                vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp,
                -- over the whole chunk: the mean gap stands for each, as finding the last gap would sort the chunk
                -- again
                telemetry.observe_interval(
                    NULL, NULL, (recorded_at - latest.first_at) / nullif(latest.readings - 1, 0)
                )
            FROM pg_temp.import_vehicle_reading
            JOIN (
                SELECT vehicle_id, max(recorded_at) AS recorded_at, min(recorded_at) AS first_at, count(*) AS readings
                FROM pg_temp.import_vehicle_reading
                GROUP BY vehicle_id
            ) AS latest USING (vehicle_id, recorded_at)
            ORDER BY vehicle_id
            ON CONFLICT (vehicle_id) DO UPDATE SET
                recorded_at = excluded.recorded_at,
                received_at = excluded.received_at,
                soc = excluded.soc,
                kwh_delivered_dc = excluded.kwh_delivered_dc,
                battery_temp = excluded.battery_temp,
                observed_interval = telemetry.observe_interval(
                    status.observed_interval, excluded.recorded_at - status.recorded_at, excluded.observed_interval
                )
            WHERE status.recorded_at < excluded.recorded_at;

            RETURN QUERY SELECT 'stored', v_stored, NULL::integer, NULL::text;
            RETURN;
        EXCEPTION
            WHEN unique_violation THEN NULL; -- some were stored before, or repeat within the chunk
        END;
    END IF;

    SELECT array_agg(s.place ORDER BY s.place) INTO v_places FROM pg_temp.import_vehicle_reading AS s;
    RETURN QUERY
    SELECT i.outcome, count(*), CASE WHEN i.detail IS NOT NULL THEN v_places[i.rank] END AS place, i.detail
    FROM api.ingest_vehicle_readings(
        (
            SELECT array_agg(
                ROW(s.vehicle_id, s.recorded_at, s.soc, s.kwh_delivered_dc, s.battery_temp, NULL)::api.vehicle_reading
                ORDER BY s.place
            )
            FROM pg_temp.import_vehicle_reading AS s
        ),
        FALSE
    ) WITH ORDINALITY AS i (outcome, detail, ignored, rank)
    GROUP BY i.outcome, place, i.detail;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.import_vehicle_readings (boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.import_vehicle_readings (boolean) TO energy_service;

COMMENT ON FUNCTION api.import_vehicle_readings (boolean) IS
'Stores the rows of this session''s import_vehicle_reading (api.make_import_table) as api.ingest_vehicle_readings does in the order of place, but keeps no rejected ones. Returns one row for all stored readings, one for all duplicates (readings: their number), one per rejected reading with its place and the detail, and one of outcome ignored, with place and detail, per reading with a measure outside its range: it is stored as NULL, if the reading is. p_new: true if all are expected to be new, which is faster if so';
