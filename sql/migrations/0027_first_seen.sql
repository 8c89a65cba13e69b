-- The time at which a device was first heard. A default fills it in for new devices, so the ingest functions do not know it.
-- The history cannot tell: retention drops its beginning. Of the devices that are there already, the aggregates of days
-- know the first day; they are read before the tables are locked.

SET LOCAL ROLE energy_owner;

CREATE TEMPORARY TABLE pg_temp.first_day ON COMMIT DROP AS
SELECT 'meter' AS kind, m.meter_id AS device_id, min(m.bucket) AS bucket FROM bi.meter_daily AS m GROUP BY m.meter_id
UNION ALL
SELECT 'vehicle', v.vehicle_id, min(v.bucket) FROM bi.vehicle_daily AS v GROUP BY v.vehicle_id;

ALTER TABLE telemetry.meter_current_status ADD COLUMN first_received_at timestamptz;
ALTER TABLE telemetry.vehicle_current_status ADD COLUMN first_received_at timestamptz;
ALTER TABLE telemetry.meter_current_status ALTER COLUMN first_received_at SET DEFAULT now();
ALTER TABLE telemetry.vehicle_current_status ALTER COLUMN first_received_at SET DEFAULT now();

UPDATE telemetry.meter_current_status AS s
SET first_received_at = d.bucket
FROM pg_temp.first_day AS d
WHERE d.kind = 'meter' AND d.device_id = s.meter_id;
UPDATE telemetry.vehicle_current_status AS s
SET first_received_at = d.bucket
FROM pg_temp.first_day AS d
WHERE d.kind = 'vehicle' AND d.device_id = s.vehicle_id;

COMMENT ON COLUMN telemetry.meter_current_status.first_received_at IS 'The server''s time when its first reading was stored; for a meter that is older than this column, the start of its first day in bi.meter_daily';
COMMENT ON COLUMN telemetry.vehicle_current_status.first_received_at IS 'The server''s time when its first reading was stored; for a vehicle that is older than this column, the start of its first day in bi.vehicle_daily';
