-- The typed arguments of the ingest functions: a batch is an array of these.

SET LOCAL ROLE energy_owner;

CREATE TYPE api.meter_reading AS (
    meter_id text COLLATE "C",
    recorded_at timestamptz,
    kwh_consumed_ac double precision,
    voltage double precision,
    source text
);

COMMENT ON TYPE api.meter_reading IS 'One reading of a smart meter as it comes in';
COMMENT ON COLUMN api.meter_reading.meter_id IS 'The meter''s id: 1-64 characters of A-Z a-z 0-9 . _ : -, the first a letter or digit';
COMMENT ON COLUMN api.meter_reading.recorded_at IS 'The meter''s own time: the end of the interval the energy belongs to';
COMMENT ON COLUMN api.meter_reading.kwh_consumed_ac IS 'AC energy drawn in that interval, kWh, 0 to 1e7';
COMMENT ON COLUMN api.meter_reading.voltage IS 'Mains voltage, V, 0 to 1500';
COMMENT ON COLUMN api.meter_reading.source IS 'Who sent it (network address); kept only where the reading is refused';

CREATE TYPE api.vehicle_reading AS (
    vehicle_id text COLLATE "C",
    recorded_at timestamptz,
    soc double precision,
    kwh_delivered_dc double precision,
    battery_temp double precision,
    source text
);

COMMENT ON TYPE api.vehicle_reading IS 'One reading of a vehicle as it comes in';
COMMENT ON COLUMN api.vehicle_reading.vehicle_id IS 'The vehicle''s id: 1-64 characters of A-Z a-z 0-9 . _ : -, the first a letter or digit';
COMMENT ON COLUMN api.vehicle_reading.recorded_at IS 'The vehicle''s own time: the end of the interval the energy belongs to';
COMMENT ON COLUMN api.vehicle_reading.soc IS 'State of charge, percent, 0 to 100';
COMMENT ON COLUMN api.vehicle_reading.kwh_delivered_dc IS 'DC energy that reached the battery in that interval, kWh, 0 to 1e7';
COMMENT ON COLUMN api.vehicle_reading.battery_temp IS 'Battery temperature, degrees Celsius, -60 to 120';
COMMENT ON COLUMN api.vehicle_reading.source IS 'Who sent it (network address); kept only where the reading is refused';

CREATE TYPE api.refused_reading AS (
    stream text,
    code text,
    detail text,
    payload text,
    source text
);

COMMENT ON TYPE api.refused_reading IS 'A reading whose shape the service refused before it could become a typed one';
COMMENT ON COLUMN api.refused_reading.stream IS 'meter, vehicle, or unknown where the payload does not tell';
COMMENT ON COLUMN api.refused_reading.code IS 'Stable code of the reason';
COMMENT ON COLUMN api.refused_reading.detail IS 'The reason in words: the field and the limit';
COMMENT ON COLUMN api.refused_reading.payload IS 'The JSON that was sent';
COMMENT ON COLUMN api.refused_reading.source IS 'Who sent it (network address)';

CREATE TYPE telemetry.refusal AS (
    code text,
    detail text
);

COMMENT ON TYPE telemetry.refusal IS 'Why a reading is refused; NULL where it is not';
COMMENT ON COLUMN telemetry.refusal.code IS 'Stable code of the reason';
COMMENT ON COLUMN telemetry.refusal.detail IS 'The reason in words: the field and the limit';
