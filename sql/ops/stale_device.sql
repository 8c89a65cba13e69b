-- For the eye: who has stopped sending.

CREATE OR REPLACE VIEW ops.stale_device AS
SELECT s.stream, s.device_id, s.recorded_at, s.expected_interval_s, now() - s.recorded_at AS silent_for
FROM ops.list_stale_devices() AS s;

GRANT SELECT ON ops.stale_device TO energy_dba;

COMMENT ON VIEW ops.stale_device IS 'Devices that have been silent for more than three of their expected intervals; ops.list_stale_devices takes another number';
COMMENT ON COLUMN ops.stale_device.stream IS 'meter or vehicle';
COMMENT ON COLUMN ops.stale_device.device_id IS 'The device''s id';
COMMENT ON COLUMN ops.stale_device.recorded_at IS 'Time of its newest reading';
COMMENT ON COLUMN ops.stale_device.expected_interval_s IS 'What its profile says, seconds; 60 without one';
COMMENT ON COLUMN ops.stale_device.silent_for IS 'Time since then';
