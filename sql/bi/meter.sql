-- The meters, a row each, for joins with the aggregates. What they do at this moment is in bi.meter_current. With a rule of
-- its own (telemetry.default_meter_id) a fleet may have a meter that feeds several vehicles: the row stays one.

CREATE OR REPLACE VIEW bi.meter AS
SELECT
    d.device_id AS meter_id,
    l.vehicle_id,
    d.first_received_at,
    d.received_at AS last_received_at,
    d.recorded_at AS last_recorded_at,
    d.status = 'retired' AS is_retired,
    coalesce(p.energy_kind, 'interval') AS energy_kind,
    p.register_max_kwh,
    p.max_kw,
    extract(EPOCH FROM d.expected_interval)::double precision AS expected_interval_s
FROM telemetry.device AS d
LEFT JOIN telemetry.device_profile AS p ON p.kind = d.kind AND p.device_id = d.device_id
LEFT JOIN (
    SELECT l.meter_id, min(l.vehicle_id) AS vehicle_id
    FROM telemetry.current_link AS l
    GROUP BY l.meter_id
) AS l ON l.meter_id = d.device_id
WHERE d.kind = 'meter';

GRANT SELECT ON bi.meter TO energy_bi;

COMMENT ON VIEW bi.meter IS 'The meters that have sent a reading, a row each: first and last seen, profile, and the vehicle that it feeds now';
COMMENT ON COLUMN bi.meter.meter_id IS 'The meter''s id';
COMMENT ON COLUMN bi.meter.vehicle_id IS 'The vehicle that the meter feeds now, the first by id of several; NULL for none';
COMMENT ON COLUMN bi.meter.first_received_at IS 'First seen: the server''s time when its first reading was stored; for a meter from before this column, the start of its first day in bi.meter_daily';
COMMENT ON COLUMN bi.meter.last_received_at IS 'Last seen: the server''s time when its newest reading was stored';
COMMENT ON COLUMN bi.meter.last_recorded_at IS 'The meter''s own time of its newest reading';
COMMENT ON COLUMN bi.meter.is_retired IS 'True if it is out of use, until it reports again';
COMMENT ON COLUMN bi.meter.energy_kind IS 'interval: it sends the energy of each interval; register: it sends a running total';
COMMENT ON COLUMN bi.meter.register_max_kwh IS 'Value at which its register starts again from 0, kWh; NULL for none, or not declared';
COMMENT ON COLUMN bi.meter.max_kw IS 'Its largest power, kW; NULL if not declared';
COMMENT ON COLUMN bi.meter.expected_interval_s IS 'Expected seconds between two readings: from its profile, else as observed, else 60';
