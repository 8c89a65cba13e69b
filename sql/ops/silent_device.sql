-- The silent devices, for people.

CREATE OR REPLACE VIEW ops.silent_device AS
SELECT s.kind, s.device_id, s.recorded_at, s.expected_interval, now() - s.recorded_at AS silent_for
FROM ops.list_silent_devices() AS s;

GRANT SELECT ON ops.silent_device TO energy_dba;

COMMENT ON VIEW ops.silent_device IS 'Devices in use that have sent nothing for more than 5 of their expected intervals';
COMMENT ON COLUMN ops.silent_device.kind IS 'meter or vehicle';
COMMENT ON COLUMN ops.silent_device.device_id IS 'The device''s id';
COMMENT ON COLUMN ops.silent_device.recorded_at IS 'Time of its newest reading';
COMMENT ON COLUMN ops.silent_device.expected_interval IS 'Expected time between two readings: from its profile, else as observed, else a minute';
COMMENT ON COLUMN ops.silent_device.silent_for IS 'Time since the newest reading';
