-- One row per device, rewritten by every newer reading. No index but the primary key and half-empty pages keep the
-- updates HOT (no index is touched); an index on the time would end that.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.meter_current_status (
    meter_id text COLLATE "C" PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    kwh_consumed_ac double precision NOT NULL,
    voltage double precision NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

COMMENT ON TABLE telemetry.meter_current_status IS 'The newest reading (by recorded_at) of every smart meter';
COMMENT ON COLUMN telemetry.meter_current_status.meter_id IS 'The meter''s id';
COMMENT ON COLUMN telemetry.meter_current_status.recorded_at IS 'The meter''s own time of its newest reading';
COMMENT ON COLUMN telemetry.meter_current_status.received_at IS 'The server''s time when that reading was stored';
COMMENT ON COLUMN telemetry.meter_current_status.kwh_consumed_ac IS 'AC energy drawn in the interval that ends at recorded_at, kWh';
COMMENT ON COLUMN telemetry.meter_current_status.voltage IS 'Mains voltage, V';

CREATE TABLE telemetry.vehicle_current_status (
    vehicle_id text COLLATE "C" PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    soc double precision NOT NULL,
    kwh_delivered_dc double precision NOT NULL,
    battery_temp double precision NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

COMMENT ON TABLE telemetry.vehicle_current_status IS 'The newest reading (by recorded_at) of every vehicle';
COMMENT ON COLUMN telemetry.vehicle_current_status.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN telemetry.vehicle_current_status.recorded_at IS 'The vehicle''s own time of its newest reading';
COMMENT ON COLUMN telemetry.vehicle_current_status.received_at IS 'The server''s time when that reading was stored';
COMMENT ON COLUMN telemetry.vehicle_current_status.soc IS 'State of charge of the battery, percent';
COMMENT ON COLUMN telemetry.vehicle_current_status.kwh_delivered_dc IS 'DC energy that reached the battery in the interval that ends at recorded_at, kWh';
COMMENT ON COLUMN telemetry.vehicle_current_status.battery_temp IS 'Battery temperature, degrees Celsius';
