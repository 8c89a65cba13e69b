-- The vehicles, a row each, for joins with the aggregates. What they do at this moment is in bi.vehicle_current.

CREATE OR REPLACE VIEW bi.vehicle AS
SELECT
    d.device_id AS vehicle_id,
    m.meter_id,
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
LEFT JOIN telemetry.current_link AS m ON m.vehicle_id = d.device_id
WHERE d.kind = 'vehicle';

GRANT SELECT ON bi.vehicle TO energy_bi;

COMMENT ON VIEW bi.vehicle IS 'The vehicles that have sent a reading, a row each: first and last seen, profile, and the meter that feeds it now';
COMMENT ON COLUMN bi.vehicle.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle.meter_id IS 'The meter that feeds the vehicle now; NULL for none';
COMMENT ON COLUMN bi.vehicle.first_received_at IS 'First seen: the server''s time when its first reading was stored; for a vehicle from before this column, the start of its first day in bi.vehicle_daily';
COMMENT ON COLUMN bi.vehicle.last_received_at IS 'Last seen: the server''s time when its newest reading was stored';
COMMENT ON COLUMN bi.vehicle.last_recorded_at IS 'The vehicle''s own time of its newest reading';
COMMENT ON COLUMN bi.vehicle.is_retired IS 'True if it is out of use, until it reports again';
COMMENT ON COLUMN bi.vehicle.energy_kind IS 'interval: it sends the energy of each interval; register: it sends a running total';
COMMENT ON COLUMN bi.vehicle.register_max_kwh IS 'Value at which its register starts again from 0, kWh; NULL for none, or not declared';
COMMENT ON COLUMN bi.vehicle.max_kw IS 'Its largest power, kW; NULL if not declared';
COMMENT ON COLUMN bi.vehicle.expected_interval_s IS 'Expected seconds between two readings: from its profile, else as observed, else 60';
