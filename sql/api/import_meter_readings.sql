-- The dual write of an import, from the session's temporary table. Readings beyond a limit are taken out first, and
-- measures beyond theirs. Each limit but one is an interval. So if the lowest and the highest values and all ids are
-- valid, every reading is, which is cheaper than a check of each row. p_new is the caller's guess that no row was stored
-- before: a plain INSERT is then cheaper than one with ON CONFLICT. If it fails, the chunk takes the ordinary path, at the
-- cost of its dead rows; so does a chunk with profiled devices. Both writes are in the order of the key, as in
-- api.ingest_meter_readings.

CREATE OR REPLACE FUNCTION api.import_meter_readings(p_new boolean)
RETURNS TABLE (outcome text, readings bigint, place integer, detail text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_retention CONSTANT interval := telemetry.accepted_age('meter');
    v_low api.meter_reading;
    v_high api.meter_reading;
    v_stored bigint;
    v_places integer[];
BEGIN
    PERFORM api.await_standbys();
    PERFORM telemetry.require_import_table('import_meter_reading');

    SELECT
        min(meter_id), min(recorded_at), min(kwh_consumed_ac), min(voltage), NULL
    INTO v_low FROM pg_temp.import_meter_reading;
    SELECT
        max(meter_id), max(recorded_at), max(kwh_consumed_ac), max(voltage), NULL
    INTO v_high FROM pg_temp.import_meter_reading;
    IF telemetry.reject_meter_reading(
        v_high.meter_id, v_high.recorded_at,
        v_high.kwh_consumed_ac, v_high.voltage, now(), v_retention
    ) IS NOT NULL OR EXISTS (
        -- OFFSET 0: else the check moves below DISTINCT and runs once a row
        SELECT FROM (SELECT DISTINCT meter_id FROM pg_temp.import_meter_reading OFFSET 0) AS s
        WHERE telemetry.reject_meter_reading(
            s.meter_id, v_low.recorded_at,
            v_low.kwh_consumed_ac, v_low.voltage, now(), v_retention
        ) IS NOT NULL
    ) OR EXISTS (
        SELECT FROM pg_temp.import_meter_reading AS s WHERE telemetry.is_negligible(s.voltage)
    )
    OR telemetry.ignore_voltage(v_low.voltage) IS NOT NULL OR telemetry.ignore_voltage(v_high.voltage) IS NOT NULL
    THEN
        RETURN QUERY
        WITH rejected AS (
            DELETE FROM pg_temp.import_meter_reading AS s
            WHERE telemetry.reject_meter_reading(
                s.meter_id, s.recorded_at, s.kwh_consumed_ac, s.voltage, now(), v_retention
            ) IS NOT NULL
            RETURNING s.place, telemetry.reject_meter_reading(
                s.meter_id, s.recorded_at, s.kwh_consumed_ac, s.voltage, now(), v_retention
            ) AS rejection
        )
        SELECT (r.rejection).code, 1::bigint, r.place, (r.rejection).detail
        FROM rejected AS r;

        RETURN QUERY
        SELECT 'ignored', 1::bigint, s.place, (SELECT string_agg(m.detail, '; ') FROM unnest(i.ignored) AS m)
        FROM pg_temp.import_meter_reading AS s
        CROSS JOIN LATERAL (
            SELECT telemetry.list_ignored_measures(
                telemetry.ignore_voltage(s.voltage)
            ) AS ignored
        ) AS i
        WHERE i.ignored IS NOT NULL;
        UPDATE pg_temp.import_meter_reading
        SET
            voltage = CASE WHEN telemetry.ignore_voltage(voltage) IS NULL THEN voltage END
        WHERE telemetry.ignore_voltage(voltage) IS NOT NULL;
    END IF;

    IF p_new AND NOT EXISTS (
        SELECT FROM telemetry.device_profile AS p
        WHERE
            p.kind = 'meter' AND p.is_checked
            AND p.device_id IN (SELECT s.meter_id FROM pg_temp.import_meter_reading AS s)
    ) THEN
        BEGIN
            INSERT INTO telemetry.meter_telemetry_history
                (meter_id, counted_at, kwh_consumed_ac, voltage)
            SELECT meter_id, telemetry.counted_at(recorded_at), kwh_consumed_ac, voltage
            FROM pg_temp.import_meter_reading
            ORDER BY meter_id, recorded_at;
            GET DIAGNOSTICS v_stored = ROW_COUNT;

            INSERT INTO telemetry.meter_current_status AS status
                (meter_id, recorded_at, kwh_consumed_ac, voltage, observed_interval)
            SELECT
                meter_id, recorded_at, kwh_consumed_ac, voltage,
                -- over the whole chunk: the mean gap stands for each, as finding the last gap would sort the chunk
                -- again
                telemetry.observe_interval(
                    NULL, NULL, (recorded_at - latest.first_at) / nullif(latest.readings - 1, 0)
                )
            FROM pg_temp.import_meter_reading
            JOIN (
                SELECT meter_id, max(recorded_at) AS recorded_at, min(recorded_at) AS first_at, count(*) AS readings
                FROM pg_temp.import_meter_reading
                GROUP BY meter_id
            ) AS latest USING (meter_id, recorded_at)
            ORDER BY meter_id
            ON CONFLICT (meter_id) DO UPDATE SET
                recorded_at = excluded.recorded_at,
                received_at = excluded.received_at,
                kwh_consumed_ac = excluded.kwh_consumed_ac,
                voltage = excluded.voltage,
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

    SELECT array_agg(s.place ORDER BY s.place) INTO v_places FROM pg_temp.import_meter_reading AS s;
    RETURN QUERY
    SELECT i.outcome, count(*), CASE WHEN i.detail IS NOT NULL THEN v_places[i.rank] END AS place, i.detail
    FROM api.ingest_meter_readings(
        (
            SELECT array_agg(
                ROW(s.meter_id, s.recorded_at, s.kwh_consumed_ac, s.voltage, NULL)::api.meter_reading
                ORDER BY s.place
            )
            FROM pg_temp.import_meter_reading AS s
        ),
        FALSE
    ) WITH ORDINALITY AS i (outcome, detail, ignored, rank)
    GROUP BY i.outcome, place, i.detail;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.import_meter_readings (boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.import_meter_readings (boolean) TO energy_service;

COMMENT ON FUNCTION api.import_meter_readings (boolean) IS
'Stores the rows of this session''s import_meter_reading (api.make_import_table) as api.ingest_meter_readings does in the order of place, but keeps no rejected ones. Returns one row for all stored readings, one for all duplicates (readings: their number), one per rejected reading with its place and the detail, and one of outcome ignored, with place and detail, per reading with a measure outside its range: it is stored as NULL, if the reading is. p_new: true if all are expected to be new, which is faster if so';
