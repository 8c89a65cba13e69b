-- The AC energy outside of charging sessions, day by day. A day of one meter throughout comes from the aggregate; one in
-- which the vehicle's meter changes is added up from the readings, as sessions are. So the energy of all sessions and days
-- of standby is all that the meters drew, as soon as the days are refreshed (bi.stale_range).

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
        WHERE e.edge IS NOT NULL AND e.edge <> public.time_bucket('1 day', e.edge, f.time_zone)
    ) AS p
    JOIN telemetry.meter_telemetry_history AS h
        ON
            h.meter_id = l.meter_id
            AND h.counted_at >= greatest(p.bucket, l.valid_from)
            AND h.counted_at < least(p.bucket + telemetry.day_length(p.bucket), l.valid_until)
    UNION ALL
    SELECT c.vehicle_id, c.bucket, NULL, c.kwh_consumed_ac
    FROM telemetry.list_session_days() AS c
) AS d
GROUP BY d.vehicle_id, d.bucket;
