-- The newest reading of every meter, and its status.

CREATE OR REPLACE VIEW bi.meter_current AS
SELECT
    d.device_id AS meter_id,
    d.status,
    d.recorded_at,
    d.received_at,
    d.kwh AS kwh_consumed_ac,
    d.voltage
FROM telemetry.device AS d
WHERE d.kind = 'meter';

GRANT SELECT ON bi.meter_current TO energy_bi;

COMMENT ON VIEW bi.meter_current IS 'The newest reading of every meter, and its status at this moment';
COMMENT ON COLUMN bi.meter_current.meter_id IS 'The meter''s id';
COMMENT ON COLUMN bi.meter_current.status IS 'reporting, silent (no reading for more than 5 of its expected intervals), or retired (out of use until it reports again)';
COMMENT ON COLUMN bi.meter_current.recorded_at IS 'The meter''s own time of its newest reading';
COMMENT ON COLUMN bi.meter_current.received_at IS 'The server''s time when that reading was stored';
COMMENT ON COLUMN bi.meter_current.kwh_consumed_ac IS 'AC energy of its newest interval, kWh';
COMMENT ON COLUMN bi.meter_current.voltage IS 'Mains voltage, V; NULL if not measured';
