-- The newest reading of every vehicle, and its status.

CREATE OR REPLACE VIEW bi.vehicle_current AS
SELECT
    d.device_id AS vehicle_id,
    d.status,
    d.recorded_at,
    d.received_at,
    d.kwh AS kwh_delivered_dc,
    d.is_charging,
    d.soc,
    d.battery_temp
FROM telemetry.device AS d
WHERE d.kind = 'vehicle';

GRANT SELECT ON bi.vehicle_current TO energy_bi;

COMMENT ON VIEW bi.vehicle_current IS 'The newest reading of every vehicle, and its status at this moment';
COMMENT ON COLUMN bi.vehicle_current.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN bi.vehicle_current.status IS 'reporting, silent (no reading for more than 5 of its expected intervals), or retired (out of use until it reports again)';
COMMENT ON COLUMN bi.vehicle_current.recorded_at IS 'The vehicle''s own time of its newest reading';
COMMENT ON COLUMN bi.vehicle_current.received_at IS 'The server''s time when that reading was stored';
COMMENT ON COLUMN bi.vehicle_current.kwh_delivered_dc IS 'DC energy of its newest interval, kWh';
COMMENT ON COLUMN bi.vehicle_current.is_charging IS 'True if it reports, and energy flowed in its newest interval';
COMMENT ON COLUMN bi.vehicle_current.soc IS 'State of charge, percent; NULL if not measured';
COMMENT ON COLUMN bi.vehicle_current.battery_temp IS 'Battery temperature, degrees Celsius; NULL if not measured';
