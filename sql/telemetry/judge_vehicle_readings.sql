-- The rarer half of api.ingest_vehicle_readings: judges a batch that was not stored completely, or not with all of its
-- measures, and keeps its rejected readings. It is a function of its own for two reasons. A statement after the insert
-- sees the commits of concurrent batches, which the inserting statement does not. And it is planned with the batch's own
-- time bounds, so that it opens only the chunks of these times.

CREATE OR REPLACE FUNCTION telemetry.judge_vehicle_readings(
    p_readings api.vehicle_reading [],
    p_sent api.vehicle_reading [],
    p_stored bigint [],
    p_implausible bigint [],
    p_keep_rejected boolean
)
RETURNS TABLE (outcome text, detail text, ignored api.ignored_measure [])
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    v_retention CONSTANT interval := telemetry.accepted_age('vehicle');
    v_from timestamptz;
    v_to timestamptz;
    v_outcomes text[];
    v_details text[];
BEGIN
    -- each within both bounds: TimescaleDB cannot compare its chunks with the last times of PostgreSQL
    SELECT
        least(greatest(min(r.recorded_at), now() - v_retention), now() + INTERVAL '5 minutes'),
        greatest(least(max(r.recorded_at), now() + INTERVAL '5 minutes'), now() - v_retention)
    INTO v_from, v_to
    FROM unnest(p_readings) AS r;

    WITH reading AS (
        SELECT
            r.*,
            telemetry.reject_vehicle_reading(
                r.vehicle_id, r.recorded_at, r.soc, r.kwh_delivered_dc, r.battery_temp, now(), v_retention
            ) AS rejection
        FROM unnest(p_readings) WITH ORDINALITY
            AS r (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source, position)
    ),
    judged AS (
        SELECT
            r.position,
            CASE
                WHEN r.position = ANY (p_stored) THEN 'stored'
                WHEN (r.rejection).code IS NOT NULL THEN (r.rejection).code
                WHEN (h.soc, coalesce(h.register_kwh, h.kwh_delivered_dc), h.battery_temp)
                    IS NOT DISTINCT FROM (r.soc, r.kwh_delivered_dc, r.battery_temp) THEN 'duplicate'
                WHEN h.vehicle_id IS NOT NULL THEN 'conflict'
                WHEN r.position = ANY (p_implausible) THEN 'implausible_energy'
                ELSE 'timestamp_too_old' -- it existed, and retention has just dropped it
            END AS outcome,
            CASE
                WHEN r.position = ANY (p_stored) THEN NULL
                WHEN (r.rejection).code IS NOT NULL THEN (r.rejection).detail
                WHEN (h.soc, coalesce(h.register_kwh, h.kwh_delivered_dc), h.battery_temp)
                    IS NOT DISTINCT FROM (r.soc, r.kwh_delivered_dc, r.battery_temp) THEN NULL
                WHEN h.vehicle_id IS NOT NULL
                    THEN format(
                        'vehicleId %s has a reading of %s with other values, which is kept: '
                        'soc %s, kwhDeliveredDc %s, batteryTemp %s',
                        h.vehicle_id, telemetry.format_utc(r.recorded_at),
                        coalesce(h.soc::text, 'not measured'),
                        coalesce(h.register_kwh, h.kwh_delivered_dc), coalesce(h.battery_temp::text, 'not measured')
                    )
                WHEN r.position = ANY (p_implausible)
                    THEN format(
                        'kwhDeliveredDc %s means more than twice the energy that maxKw %s of vehicleId %s allows',
                        r.kwh_delivered_dc,
                        (SELECT p.max_kw FROM telemetry.device_profile AS p WHERE p.kind = 'vehicle' AND p.device_id = r.vehicle_id),
                        r.vehicle_id
                    )
                ELSE format('timestamp %s has just left the retention', telemetry.format_utc(r.recorded_at))
            END AS detail
        FROM reading AS r
        LEFT JOIN LATERAL (
            -- LIMIT keeps this a query of its own, whose bounds open only the chunks of these times, one probe a
            -- reading
            SELECT k.*
            FROM telemetry.vehicle_telemetry_history AS k
            WHERE k.vehicle_id = r.vehicle_id AND k.counted_at = telemetry.counted_at(r.recorded_at)
                AND k.counted_at BETWEEN telemetry.counted_at(v_from) AND v_to
                AND (r.position = ANY (p_stored)) IS NOT TRUE
            LIMIT 1
        ) AS h ON TRUE
    )
    SELECT array_agg(j.outcome ORDER BY j.position), array_agg(j.detail ORDER BY j.position)
    INTO v_outcomes, v_details
    FROM judged AS j;

    IF p_keep_rejected THEN
        -- in one call, which locks all senders in one order
        PERFORM telemetry.keep_rejected_readings(
            array_agg(
                ROW(
                    'vehicle', coalesce(i.ignored[1].code, r.outcome),
                    coalesce((SELECT string_agg(m.detail, '; ') FROM unnest(i.ignored) AS m), r.detail),
                    json_build_object(
                        'vehicleId', r.vehicle_id,
                        'soc', r.soc,
                        'kwhDeliveredDc', r.kwh_delivered_dc,
                        'batteryTemp', r.battery_temp,
                        'timestamp', telemetry.format_utc(r.recorded_at)
                    )::text,
                    r.source
                )::api.rejected_reading
                ORDER BY r.position
            ),
            array_agg(r.outcome = 'stored' ORDER BY r.position)
        )
        FROM unnest(p_sent, v_outcomes, v_details) WITH ORDINALITY
            AS r (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source, outcome, detail, position)
        CROSS JOIN LATERAL (
            SELECT CASE WHEN r.outcome = 'stored' THEN telemetry.list_ignored_measures(
                telemetry.ignore_soc(r.soc), telemetry.ignore_battery_temp(r.battery_temp)
            ) END AS ignored
        ) AS i
        WHERE r.outcome NOT IN ('stored', 'duplicate') OR i.ignored IS NOT NULL
        HAVING count(*) > 0;
    END IF;

    RETURN QUERY
    SELECT
        s.outcome, s.detail,
        CASE WHEN s.outcome IN ('stored', 'duplicate') THEN telemetry.list_ignored_measures(
            telemetry.ignore_soc(s.soc), telemetry.ignore_battery_temp(s.battery_temp)
        ) END
    FROM unnest(v_outcomes, v_details, p_sent)
        AS s (outcome, detail, vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source);
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.judge_vehicle_readings (
    api.vehicle_reading [], api.vehicle_reading [], bigint [], bigint [], boolean
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.judge_vehicle_readings (
    api.vehicle_reading [], api.vehicle_reading [], bigint [], bigint [], boolean
) IS
'Outcome, detail and ignored measures of every reading of a batch, in input order, after p_stored (positions from 1) were stored and p_implausible were rejected for their energy. p_readings are without the ignored measures of p_sent, the batch as it came. With p_keep_rejected, rejected readings, conflicts and readings stored with an ignored measure are kept in telemetry.rejected_reading';
