-- The meters that feed vehicles with their times: the links, and the default meter for times without one. The default
-- does not count while that meter is linked to another vehicle, or its energy would be counted twice.

CREATE OR REPLACE VIEW bi.vehicle_meter AS
SELECT
    l.vehicle_id,
    l.meter_id,
    lower(l.during) AS valid_from,
    upper(l.during) AS valid_until,
    'link' AS origin
FROM telemetry.vehicle_meter_link AS l
UNION ALL
SELECT
    v.vehicle_id,
    m.meter_id,
    lower(free.span),
    upper(free.span),
    'default'
FROM (
    SELECT s.vehicle_id FROM telemetry.vehicle_current_status AS s
    UNION
    SELECT l.vehicle_id FROM telemetry.vehicle_meter_link AS l
) AS v
CROSS JOIN LATERAL telemetry.find_default_meter(v.vehicle_id) AS m (meter_id)
CROSS JOIN LATERAL (
    SELECT range_agg(t.during) AS times
    FROM (
        SELECT l.during FROM telemetry.vehicle_meter_link AS l WHERE l.vehicle_id = v.vehicle_id
        UNION ALL
        SELECT l.during FROM telemetry.vehicle_meter_link AS l WHERE l.meter_id = m.meter_id
    ) AS t
) AS taken
CROSS JOIN LATERAL unnest(tstzmultirange(tstzrange(NULL, NULL)) - coalesce(taken.times, '{}')) AS free (span)
WHERE m.meter_id IS NOT NULL;

GRANT SELECT ON bi.vehicle_meter TO energy_bi;

COMMENT ON VIEW bi.vehicle_meter IS 'The meters that feed vehicles, with their times';
COMMENT ON COLUMN bi.vehicle_meter.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_meter.meter_id IS 'The id of the meter that feeds it';
COMMENT ON COLUMN bi.vehicle_meter.valid_from IS 'Start: readings stamped after it count for the meter; NULL: always before';
COMMENT ON COLUMN bi.vehicle_meter.valid_until IS 'End: readings stamped up to and including it count for the meter; NULL: until further notice';
COMMENT ON COLUMN bi.vehicle_meter.origin IS 'link: declared; default: by the standard rule, without a declared link';
