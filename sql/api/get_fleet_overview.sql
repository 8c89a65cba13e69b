-- The overview of a fleet, cheap enough for a page to ask every minute. For a small fleet all of it is exact at this
-- moment. For a large one it shows the state of the aggregates, and says so. Its energies end at period_end
-- (energy_until today), and readings received after received_until are missing. Exact windows of any fleet:
-- api.get_fleet_summary.

CREATE OR REPLACE FUNCTION api.get_fleet_overview(
    OUT time_zone text,
    OUT today_start timestamptz,
    OUT energy_until timestamptz,
    OUT received_until timestamptz,
    OUT kwh_consumed_ac_today double precision,
    OUT kwh_delivered_dc_today double precision,
    OUT period_start timestamptz,
    OUT period_end timestamptz,
    OUT efficiency_ratio double precision,
    OUT efficiency_status text,
    OUT vehicles_normal bigint,
    OUT vehicles_low bigint,
    OUT vehicles_impossible bigint,
    OUT vehicles_idle bigint,
    OUT vehicles_unknown bigint,
    OUT distribution jsonb,
    OUT hours jsonb,
    OUT worst jsonb,
    OUT silent_devices jsonb,
    OUT rejected jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_is_exact CONSTANT boolean := telemetry.is_small_fleet();
    v_ac double precision;
    v_dc double precision;
BEGIN
    SELECT f.time_zone INTO time_zone FROM telemetry.fleet AS f;
    today_start := date_trunc('day', now(), time_zone);
    SELECT d.period_start, d.period_end INTO period_start, period_end FROM telemetry.recent_day(v_is_exact) AS d;
    IF v_is_exact THEN
        received_until := now();
    ELSE
        SELECT min(r.received_until) INTO received_until FROM telemetry.refresh_state AS r;
    END IF;
    energy_until := greatest(today_start, period_end);

    WITH total AS MATERIALIZED (
        SELECT t.vehicle_id, t.bucket, t.expected_interval, t.kwh_consumed_ac AS kwh_ac, t.kwh_delivered_dc AS kwh_dc
        FROM telemetry.fleet_sums(period_start, period_end, today_start, v_is_exact) AS t
    ),
    balance AS MATERIALIZED (
        SELECT
            t.vehicle_id, t.kwh_ac, t.kwh_dc,
            telemetry.efficiency_ratio(t.kwh_ac, t.kwh_dc, period_end - period_start, t.expected_interval, f.standby_kw) AS ratio,
            telemetry.efficiency_status(t.kwh_ac, t.kwh_dc, period_end - period_start, t.expected_interval, f.standby_kw) AS status
        FROM total AS t
        CROSS JOIN telemetry.fleet AS f
        WHERE t.vehicle_id IS NOT NULL
    )
    SELECT
        sum(b.kwh_ac) FILTER (WHERE b.status IN ('normal', 'low', 'impossible')),
        sum(b.kwh_dc) FILTER (WHERE b.status IN ('normal', 'low', 'impossible')),
        count(*) FILTER (WHERE b.status = 'normal'),
        count(*) FILTER (WHERE b.status = 'low'),
        count(*) FILTER (WHERE b.status = 'impossible'),
        count(*) FILTER (WHERE b.status = 'idle'),
        count(*) FILTER (WHERE b.status = 'unknown'),
        (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'ratioFrom', round(n.number / 20.0, 2),
                'ratioTo', CASE WHEN n.number < 20 THEN round((n.number + 1) / 20.0, 2) END,
                'vehicles', coalesce(d.vehicles, 0)
            ) ORDER BY n.number), '[]')
            FROM generate_series(0, 20) AS n (number)
            LEFT JOIN (
                -- as numeric: a ratio has 4 decimals, and 0.85 belongs to the band that begins with it
                SELECT least(20, floor(v.ratio::numeric * 20)) AS number, count(*) AS vehicles
                FROM balance AS v
                WHERE v.ratio IS NOT NULL
                GROUP BY 1
            ) AS d ON n.number = d.number
        ),
        (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'bucket', telemetry.format_utc(t.bucket), 'kwhConsumedAc', t.kwh_ac, 'kwhDeliveredDc', t.kwh_dc
            ) ORDER BY t.bucket), '[]')
            FROM total AS t
            WHERE t.bucket IS NOT NULL
        ),
        (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'vehicleId', w.vehicle_id, 'kwhConsumedAc', w.kwh_ac, 'kwhDeliveredDc', w.kwh_dc,
                'efficiencyRatio', w.ratio, 'efficiencyStatus', w.status
            ) ORDER BY w.ratio, w.vehicle_id), '[]')
            FROM (
                SELECT v.vehicle_id, v.kwh_ac, v.kwh_dc, v.ratio, v.status
                FROM balance AS v
                WHERE v.ratio IS NOT NULL
                ORDER BY v.ratio, v.vehicle_id
                LIMIT 8
            ) AS w
        ),
        (SELECT round(t.kwh_ac::numeric, 9)::double precision FROM total AS t WHERE t.vehicle_id IS NULL AND t.bucket IS NULL),
        (SELECT round(t.kwh_dc::numeric, 9)::double precision FROM total AS t WHERE t.vehicle_id IS NULL AND t.bucket IS NULL)
    INTO
        v_ac, v_dc, vehicles_normal, vehicles_low, vehicles_impossible, vehicles_idle, vehicles_unknown, distribution, hours, worst,
        kwh_consumed_ac_today, kwh_delivered_dc_today
    FROM balance AS b;

    efficiency_ratio := telemetry.plain_ratio(v_ac, v_dc);
    efficiency_status := telemetry.fleet_status(v_ac, v_dc, vehicles_idle);
    worst := telemetry.with_trend(
        worst, (today_start AT TIME ZONE time_zone - INTERVAL '13 days') AT TIME ZONE time_zone -- on the clock of the zone
    );

    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'kind', s.kind, 'deviceId', s.device_id, 'recordedAt', telemetry.format_utc(s.recorded_at),
        'expectedIntervalS', extract(EPOCH FROM s.expected_interval)::double precision
    ) ORDER BY s.recorded_at DESC, s.device_id), '[]')
    INTO silent_devices
    FROM (
        SELECT d.* FROM telemetry.list_devices() AS d WHERE d.is_silent ORDER BY d.recorded_at DESC, d.device_id LIMIT 20
    ) AS s;

    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'kind', r.kind, 'code', r.code, 'isStored', r.is_stored, 'readings', r.readings, 'newest', telemetry.format_utc(r.newest),
        -- the payload may be anything; an invalid id is none
        'deviceId', telemetry.payload_device_id(e.payload),
        'source', e.source, 'detail', e.detail, 'payload', left(e.payload, 200)
    ) ORDER BY r.readings DESC, r.code, r.kind, r.is_stored), '[]')
    INTO rejected
    FROM (
        SELECT j.kind, j.code, j.is_stored, count(*) AS readings, max(j.received_at) AS newest, public.last(j.rejected_id, j.received_at) AS newest_id
        FROM telemetry.rejected_reading AS j
        WHERE j.received_at >= now() - INTERVAL '1 day'
        GROUP BY j.kind, j.code, j.is_stored
    ) AS r
    JOIN telemetry.rejected_reading AS e ON e.received_at = r.newest AND e.rejected_id = r.newest_id;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.get_fleet_overview () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_fleet_overview () TO energy_service;

COMMENT ON FUNCTION api.get_fleet_overview () IS
'The fleet at a glance: its time zone; energy (kWh) of all meters and of all vehicles since its midnight, up to energy_until; of the last 24 hours (the last one may be incomplete), up to period_end: vehicles by status, the distribution of efficiencies, energy by hour, and the 8 vehicles that lose the largest share, with their days of two weeks; the 20 devices that fell silent last; rejected readings of the last 24 hours, and stored ones with an ignored measure (isStored), by kind and code, each with its newest one (device, sender, fault, the first 200 characters). Beyond 1,000 meters or vehicles (telemetry.is_small_fleet), energies end where the aggregates end, and include readings received before received_until';
