-- A register that falls by more than a tenth has been reset, or is read wrongly once (a zero at start-up): the reading after it
-- tells. Until then the level before the fall is kept. The functions that change their parameters go; the code of this
-- version makes them again.
-- squawk-ignore-file ban-drop-function

SET LOCAL ROLE energy_owner;

DROP AGGREGATE IF EXISTS telemetry.register_chain(
    double precision, timestamptz, telemetry.register_state, double precision, double precision, interval
);
DROP FUNCTION IF EXISTS telemetry.register_step(
    telemetry.register_state, double precision, timestamptz, telemetry.register_state, double precision, double precision, interval
);
DROP FUNCTION IF EXISTS telemetry.mend_register_energy(text, text, timestamptz, telemetry.register_state, double precision);
DROP FUNCTION IF EXISTS telemetry.register_state_before(text, text, timestamptz);

ALTER TYPE telemetry.register_state ADD ATTRIBUTE former_kwh double precision;
ALTER TYPE telemetry.register_state ADD ATTRIBUTE former_at timestamptz;
ALTER TYPE telemetry.register_state ADD ATTRIBUTE glitch_after timestamptz;

COMMENT ON COLUMN telemetry.register_state.former_kwh IS 'The level before a fall of more than a tenth, kWh, while nothing has risen since; else NULL';
COMMENT ON COLUMN telemetry.register_state.former_at IS 'The device''s own time of that';
COMMENT ON COLUMN telemetry.register_state.glitch_after IS 'Set by a reading that is back at the former level: readings after this time, and before it, were glitches and have no energy';

ALTER TABLE telemetry.meter_telemetry_history ADD COLUMN register_former_at timestamptz;
ALTER TABLE telemetry.vehicle_telemetry_history ADD COLUMN register_former_at timestamptz;

COMMENT ON COLUMN telemetry.meter_telemetry_history.register_former_at IS 'Time of the register''s level before it fell by more than a tenth, while nothing had risen since; NULL for all others';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.register_former_at IS 'Time of the register''s level before it fell by more than a tenth, while nothing had risen since; NULL for all others';
COMMENT ON COLUMN telemetry.meter_telemetry_history.register_dip IS 'True for a dip (the register fell by at most a tenth) and for a glitch (it was back at its old level afterwards): no energy, and no baseline for what follows';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.register_dip IS 'True for a dip (the register fell by at most a tenth) and for a glitch (it was back at its old level afterwards): no energy, and no baseline for what follows';

ALTER TABLE telemetry.meter_current_status ADD COLUMN register_former_kwh double precision;
ALTER TABLE telemetry.meter_current_status ADD COLUMN register_former_at timestamptz;
ALTER TABLE telemetry.vehicle_current_status ADD COLUMN register_former_kwh double precision;
ALTER TABLE telemetry.vehicle_current_status ADD COLUMN register_former_at timestamptz;

COMMENT ON COLUMN telemetry.meter_current_status.register_former_kwh IS 'The register''s level before it fell by more than a tenth, kWh, while nothing has risen since; else NULL';
COMMENT ON COLUMN telemetry.meter_current_status.register_former_at IS 'The meter''s own time of that';
COMMENT ON COLUMN telemetry.vehicle_current_status.register_former_kwh IS 'The register''s level before it fell by more than a tenth, kWh, while nothing has risen since; else NULL';
COMMENT ON COLUMN telemetry.vehicle_current_status.register_former_at IS 'The vehicle''s own time of that';
