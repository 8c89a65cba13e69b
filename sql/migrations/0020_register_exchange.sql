-- A register may be replaced (a meter exchange): telemetry.register_exchange says when, and where the old one ended and the new
-- one began. And the fleet may have a limit of power for devices without one of their own. Functions whose parameters or
-- results change go; the code of this version makes them again.
-- squawk-ignore-file ban-drop-function

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.register_exchange (
    kind text NOT NULL CHECK (kind IN ('meter', 'vehicle')),
    device_id text COLLATE "C" NOT NULL,
    exchanged_at timestamptz NOT NULL,
    last_register_kwh double precision NOT NULL,
    first_register_kwh double precision NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now(),
    declared_by text,
    PRIMARY KEY (kind, device_id, exchanged_at)
);

COMMENT ON TABLE telemetry.register_exchange IS 'Registers that were replaced, as declared; append-only, and kept for good';
COMMENT ON COLUMN telemetry.register_exchange.kind IS 'meter or vehicle';
COMMENT ON COLUMN telemetry.register_exchange.device_id IS 'The device''s id';
COMMENT ON COLUMN telemetry.register_exchange.exchanged_at IS 'Until this time, included, readings show the old register, and after it the new one';
COMMENT ON COLUMN telemetry.register_exchange.last_register_kwh IS 'Where the old register ended, kWh';
COMMENT ON COLUMN telemetry.register_exchange.first_register_kwh IS 'Where the new register began, kWh';
COMMENT ON COLUMN telemetry.register_exchange.declared_at IS 'The server''s time of the declaration';
COMMENT ON COLUMN telemetry.register_exchange.declared_by IS 'The id of the API key that declared it, or the network address where keys are not required; NULL if it was declared in SQL';

ALTER TABLE telemetry.meter_telemetry_history ADD COLUMN exchange_kwh double precision;
ALTER TABLE telemetry.vehicle_telemetry_history ADD COLUMN exchange_kwh double precision;

COMMENT ON COLUMN telemetry.meter_telemetry_history.exchange_kwh IS 'Of the energy, the part that a replaced register had counted, kWh; NULL unless the register was replaced since the reading before';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.exchange_kwh IS 'Of the energy, the part that a replaced register had counted, kWh; NULL unless the register was replaced since the reading before';

DROP AGGREGATE IF EXISTS telemetry.register_chain(
    double precision, timestamptz, telemetry.register_state, double precision, double precision, interval, boolean
);
DROP FUNCTION IF EXISTS telemetry.register_step(
    telemetry.register_state, double precision, timestamptz, telemetry.register_state,
    double precision, double precision, interval, boolean
);
DROP FUNCTION IF EXISTS telemetry.mend_register_energy(text, text, timestamptz, double precision, double precision);
DROP FUNCTION IF EXISTS api.list_meter_readings(
    text, timestamptz, timestamptz, double precision, timestamptz, integer
);
DROP FUNCTION IF EXISTS api.list_vehicle_readings(
    text, timestamptz, timestamptz, double precision, timestamptz, integer
);

ALTER TYPE telemetry.register_state ADD ATTRIBUTE exchange_kwh double precision;

COMMENT ON COLUMN telemetry.register_state.exchange_kwh IS 'Of the energy, the part that a replaced register had counted, kWh; NULL unless the register was replaced since the reading before';

ALTER TABLE telemetry.fleet
ADD COLUMN meter_max_kw double precision CHECK (meter_max_kw > 0 AND meter_max_kw <= 1e6),
ADD COLUMN vehicle_max_kw double precision CHECK (vehicle_max_kw > 0 AND vehicle_max_kw <= 1e6);

COMMENT ON COLUMN telemetry.fleet.meter_max_kw IS 'maxKw of meters whose profile has none, kW; ops.set_default_max_kw sets it, NULL for no limit';
COMMENT ON COLUMN telemetry.fleet.vehicle_max_kw IS 'maxKw of vehicles whose profile has none, kW; ops.set_default_max_kw sets it, NULL for no limit';
