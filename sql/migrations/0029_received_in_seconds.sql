-- The histories keep their time of arrival in whole seconds. The microseconds of the server's clock are noise: they cost three
-- of seventeen bytes of a reading in the columnstore, and no sensor measures them. Readings that are stored keep theirs, and
-- no chunk is rewritten. The current status has the exact time, as retirement compares with it.

SET LOCAL ROLE energy_owner;

ALTER TABLE telemetry.meter_telemetry_history ALTER COLUMN received_at SET DEFAULT date_trunc('second', now());
ALTER TABLE telemetry.vehicle_telemetry_history ALTER COLUMN received_at SET DEFAULT date_trunc('second', now());

COMMENT ON COLUMN telemetry.meter_telemetry_history.received_at IS 'The server''s time when the reading was stored, cut to the second';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.received_at IS 'The server''s time when the reading was stored, cut to the second';
