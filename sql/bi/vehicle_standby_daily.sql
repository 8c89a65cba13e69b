-- The AC energy outside of charging sessions, day by day. A day of one meter throughout comes from the aggregate; one in
-- which the vehicle's meter changes is added up from the readings, as sessions are. So the energy of all sessions and of
-- all standby is what the meters drew, wherever the days are not stale (bi.stale_range).

CREATE OR REPLACE VIEW bi.vehicle_standby_daily AS
SELECT
    d.vehicle_id,
    d.bucket,
    sum(d.kwh_consumed_ac) AS kwh_consumed_ac,
    coalesce(sum(d.kwh_charged_ac), 0) AS kwh_charged_ac,
    sum(d.kwh_consumed_ac) - coalesce(sum(d.kwh_charged_ac), 0) AS standby_kwh
FROM (
    SELECT l.vehicle_id, m.bucket, m.kwh_consumed_ac, NULL::double precision AS kwh_charged_ac
    FROM bi.vehicle_meter AS l
    JOIN bi.meter_daily AS m
        ON
            l.meter_id = m.meter_id
            AND (l.valid_from IS NULL OR m.bucket >= l.valid_from)
            AND (l.valid_until IS NULL OR m.bucket + telemetry.day_length(m.bucket) <= l.valid_until)
    UNION ALL
    SELECT l.vehicle_id, p.bucket, h.kwh_consumed_ac, NULL
    FROM bi.vehicle_meter AS l
    CROSS JOIN telemetry.fleet AS f
    CROSS JOIN LATERAL (
        SELECT DISTINCT public.time_bucket('1 day', e.edge, f.time_zone) AS bucket
        FROM (VALUES (l.valid_from), (l.valid_until)) AS e (edge)
        WHERE e.edge <> public.time_bucket('1 day', e.edge, f.time_zone)
    ) AS p
    JOIN telemetry.meter_telemetry_history AS h
        ON
            l.meter_id = h.meter_id
            AND h.counted_at >= greatest(p.bucket, l.valid_from)
            AND h.counted_at < least(p.bucket + telemetry.day_length(p.bucket), l.valid_until)
    UNION ALL
    SELECT
        s.vehicle_id,
        (public.time_bucket('1 day', s.started_at, f.time_zone) AT TIME ZONE f.time_zone + (k.day - 1) * INTERVAL '1 day')
        AT TIME ZONE f.time_zone,
        NULL,
        k.kwh
    FROM telemetry.current_session AS s
    CROSS JOIN telemetry.fleet AS f
    CROSS JOIN LATERAL unnest(s.kwh_consumed_ac_by_day) WITH ORDINALITY AS k (kwh, day)
    WHERE s.meter_readings > 0
) AS d
GROUP BY d.vehicle_id, d.bucket;

GRANT SELECT ON bi.vehicle_standby_daily TO energy_bi;

COMMENT ON VIEW bi.vehicle_standby_daily IS 'AC energy that a vehicle''s meters drew outside of its charging sessions, day by day';
COMMENT ON COLUMN bi.vehicle_standby_daily.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_standby_daily.bucket IS 'Start of the day: midnight of the fleet''s time zone';
COMMENT ON COLUMN bi.vehicle_standby_daily.kwh_consumed_ac IS 'AC energy that the vehicle''s meters drew while they fed it, kWh. A day in which the meter changes is known only while its readings are kept';
COMMENT ON COLUMN bi.vehicle_standby_daily.kwh_charged_ac IS 'The part of it in charging sessions, kWh';
COMMENT ON COLUMN bi.vehicle_standby_daily.standby_kwh IS 'kwh_consumed_ac - kwh_charged_ac: AC energy without a charging session, kWh; as stale as bi.meter_daily';
