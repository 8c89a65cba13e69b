-- Every device that has sent a reading, in its present state. Reporting, silent and retired are told apart here, and
-- nowhere else. A retired device is so until it reports again.

CREATE OR REPLACE VIEW telemetry.device AS
SELECT
    s.kind,
    s.device_id,
    q.status,
    s.recorded_at,
    s.received_at,
    s.first_received_at,
    i.expected AS expected_interval,
    s.kwh,
    s.voltage,
    s.soc,
    s.battery_temp,
    s.kind = 'vehicle' AND s.kwh > 0 AND q.status = 'reporting' AS is_charging
FROM (
    SELECT
        'meter' AS kind,
        m.meter_id AS device_id,
        m.recorded_at,
        m.received_at,
        m.first_received_at,
        m.observed_interval,
        m.kwh_consumed_ac AS kwh,
        m.voltage,
        NULL::double precision AS soc,
        NULL::double precision AS battery_temp
    FROM telemetry.meter_current_status AS m
    UNION ALL
    SELECT
        'vehicle',
        v.vehicle_id,
        v.recorded_at,
        v.received_at,
        v.first_received_at,
        v.observed_interval,
        v.kwh_delivered_dc,
        NULL,
        v.soc,
        v.battery_temp
    FROM telemetry.vehicle_current_status AS v
) AS s
LEFT JOIN telemetry.device_profile AS p ON p.kind = s.kind AND p.device_id = s.device_id
CROSS JOIN LATERAL (SELECT telemetry.expected_interval(p.expected_interval, s.observed_interval) AS expected) AS i
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN s.received_at <= p.retired_at THEN 'retired'
            WHEN telemetry.is_silent(s.recorded_at, i.expected, now()) THEN 'silent'
            ELSE 'reporting'
        END AS status
) AS q;

COMMENT ON VIEW telemetry.device IS 'The meters and vehicles that have sent a reading, with their status and the newest reading';
COMMENT ON COLUMN telemetry.device.kind IS 'meter or vehicle';
COMMENT ON COLUMN telemetry.device.device_id IS 'The device''s id';
COMMENT ON COLUMN telemetry.device.status IS 'reporting, silent (telemetry.is_silent), or retired: out of use until it reports again';
COMMENT ON COLUMN telemetry.device.recorded_at IS 'The device''s own time of its newest reading';
COMMENT ON COLUMN telemetry.device.received_at IS 'The server''s time when the newest reading was stored';
COMMENT ON COLUMN telemetry.device.first_received_at IS 'The server''s time when its first reading was stored; see telemetry.meter_current_status';
COMMENT ON COLUMN telemetry.device.expected_interval IS 'Expected time between two readings (telemetry.expected_interval)';
COMMENT ON COLUMN telemetry.device.kwh IS 'Energy of the newest interval, kWh: AC of a meter, DC of a vehicle';
COMMENT ON COLUMN telemetry.device.voltage IS 'Mains voltage of the newest reading, V; NULL if not measured, and for a vehicle';
COMMENT ON COLUMN telemetry.device.soc IS 'State of charge of the newest reading, percent; NULL if not measured, and for a meter';
COMMENT ON COLUMN telemetry.device.battery_temp IS 'Battery temperature of the newest reading, degrees Celsius; NULL if not measured, and for a meter';
COMMENT ON COLUMN telemetry.device.is_charging IS 'True for a vehicle that reports, and to which energy flowed in its newest interval';
