-- The two append-only histories. The primary key serves both the reads of one device over a time and idempotency,
-- so there is no second index and no foreign key (one costs a third of the inserts and deadlocks with drop_chunks).
-- Ids use collation C: byte order is the one every client agrees on, and it compares several times faster.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.meter_telemetry_history (
    meter_id text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    kwh_consumed_ac double precision NOT NULL,
    voltage double precision NOT NULL,
    PRIMARY KEY (meter_id, recorded_at)
);

COMMENT ON TABLE telemetry.meter_telemetry_history IS 'Every accepted reading of every smart meter (AC side); append-only';
COMMENT ON COLUMN telemetry.meter_telemetry_history.meter_id IS 'The meter''s id';
COMMENT ON COLUMN telemetry.meter_telemetry_history.recorded_at IS 'The meter''s own time: the end of the interval the energy belongs to';
COMMENT ON COLUMN telemetry.meter_telemetry_history.received_at IS 'The server''s time when the reading was stored';
COMMENT ON COLUMN telemetry.meter_telemetry_history.kwh_consumed_ac IS 'AC energy drawn in the interval that ends at recorded_at, kWh';
COMMENT ON COLUMN telemetry.meter_telemetry_history.voltage IS 'Mains voltage, V';

CREATE TABLE telemetry.vehicle_telemetry_history (
    vehicle_id text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    soc double precision NOT NULL,
    kwh_delivered_dc double precision NOT NULL,
    battery_temp double precision NOT NULL,
    PRIMARY KEY (vehicle_id, recorded_at)
);

COMMENT ON TABLE telemetry.vehicle_telemetry_history IS 'Every accepted reading of every vehicle (DC side); append-only';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.recorded_at IS 'The vehicle''s own time: the end of the interval the energy belongs to';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.received_at IS 'The server''s time when the reading was stored';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.soc IS 'State of charge of the battery, percent';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.kwh_delivered_dc IS 'DC energy that reached the battery in the interval that ends at recorded_at, kWh';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.battery_temp IS 'Battery temperature, degrees Celsius';

SELECT public.create_hypertable(
    'telemetry.meter_telemetry_history',
    public.by_range('recorded_at', INTERVAL '1 day'),
    create_default_indexes => FALSE
);
SELECT public.create_hypertable(
    'telemetry.vehicle_telemetry_history',
    public.by_range('recorded_at', INTERVAL '1 day'),
    create_default_indexes => FALSE
);

ALTER TABLE telemetry.meter_telemetry_history SET (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'meter_id',
    timescaledb.orderby = 'recorded_at DESC'
);
ALTER TABLE telemetry.vehicle_telemetry_history SET (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'vehicle_id',
    timescaledb.orderby = 'recorded_at DESC'
);

CALL public.add_columnstore_policy('telemetry.meter_telemetry_history', after => INTERVAL '3 days');
CALL public.add_columnstore_policy('telemetry.vehicle_telemetry_history', after => INTERVAL '3 days');
SELECT public.add_retention_policy('telemetry.meter_telemetry_history', drop_after => INTERVAL '2 years');
SELECT public.add_retention_policy('telemetry.vehicle_telemetry_history', drop_after => INTERVAL '2 years');
