-- Devices that send a running register instead of the energy of an interval, and what else is known of a device.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.device_profile (
    stream text NOT NULL CHECK (stream IN ('meter', 'vehicle')),
    device_id text COLLATE "C" NOT NULL,
    energy_kind text NOT NULL CHECK (energy_kind IN ('interval', 'register')),
    register_max_kwh double precision,
    max_kw double precision,
    expected_interval interval NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    is_checked boolean NOT NULL GENERATED ALWAYS AS (energy_kind = 'register' OR max_kw IS NOT NULL) STORED,
    PRIMARY KEY (stream, device_id)
);

COMMENT ON TABLE telemetry.device_profile IS 'What is known of a device; one without a row sends interval energy once a minute';
COMMENT ON COLUMN telemetry.device_profile.stream IS 'meter or vehicle';
COMMENT ON COLUMN telemetry.device_profile.device_id IS 'The device''s id';
COMMENT ON COLUMN telemetry.device_profile.energy_kind IS 'interval: it sends the energy since its last reading; register: it sends a running total';
COMMENT ON COLUMN telemetry.device_profile.register_max_kwh IS 'Where its register starts again from 0, kWh; NULL where it does not';
COMMENT ON COLUMN telemetry.device_profile.max_kw IS 'The most power it can carry, kW; a reading of more than twice that is refused; NULL refuses none';
COMMENT ON COLUMN telemetry.device_profile.expected_interval IS 'Time between two of its readings';
COMMENT ON COLUMN telemetry.device_profile.set_at IS 'When this was said';
COMMENT ON COLUMN telemetry.device_profile.is_checked IS 'Whether its readings need more than the plain write path';

-- tells in one look whether any device needs it
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX device_profile_checked ON telemetry.device_profile (stream) WHERE is_checked;

ALTER TABLE telemetry.meter_telemetry_history ADD COLUMN register_kwh double precision;
ALTER TABLE telemetry.meter_telemetry_history ADD COLUMN register_dip boolean;
ALTER TABLE telemetry.vehicle_telemetry_history ADD COLUMN register_kwh double precision;
ALTER TABLE telemetry.vehicle_telemetry_history ADD COLUMN register_dip boolean;

COMMENT ON COLUMN telemetry.meter_telemetry_history.register_kwh IS 'The running register as it was sent, kWh; NULL for a device that sends interval energy';
COMMENT ON COLUMN telemetry.meter_telemetry_history.register_dip IS 'True where the register fell by at most a tenth: no energy, and the next one is compared with what was before';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.register_kwh IS 'The running register as it was sent, kWh; NULL for a device that sends interval energy';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.register_dip IS 'True where the register fell by at most a tenth: no energy, and the next one is compared with what was before';

ALTER TABLE telemetry.meter_current_status ADD COLUMN register_baseline_kwh double precision;
ALTER TABLE telemetry.meter_current_status ADD COLUMN register_baseline_at timestamptz;
ALTER TABLE telemetry.vehicle_current_status ADD COLUMN register_baseline_kwh double precision;
ALTER TABLE telemetry.vehicle_current_status ADD COLUMN register_baseline_at timestamptz;

COMMENT ON COLUMN telemetry.meter_current_status.register_baseline_kwh IS 'What the next register is compared with, kWh; NULL for a device that sends interval energy';
COMMENT ON COLUMN telemetry.meter_current_status.register_baseline_at IS 'The meter''s own time of that';
COMMENT ON COLUMN telemetry.vehicle_current_status.register_baseline_kwh IS 'What the next register is compared with, kWh; NULL for a device that sends interval energy';
COMMENT ON COLUMN telemetry.vehicle_current_status.register_baseline_at IS 'The vehicle''s own time of that';

CREATE TYPE telemetry.register_state AS (
    baseline_kwh double precision,
    baseline_at timestamptz,
    kwh double precision,
    is_dip boolean,
    is_implausible boolean
);

COMMENT ON TYPE telemetry.register_state IS 'Where a running register stands after a reading, and what that reading meant';
COMMENT ON COLUMN telemetry.register_state.baseline_kwh IS 'What the next register is compared with, kWh';
COMMENT ON COLUMN telemetry.register_state.baseline_at IS 'The device''s own time of that';
COMMENT ON COLUMN telemetry.register_state.kwh IS 'Energy since the baseline before, kWh';
COMMENT ON COLUMN telemetry.register_state.is_dip IS 'The register fell by at most a tenth: no energy, and no new baseline';
COMMENT ON COLUMN telemetry.register_state.is_implausible IS 'More energy than the device can carry in that time: nothing follows from it';

-- these get a parameter, with which they are other functions; the code of this version makes those
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS telemetry.judge_meter_readings(api.meter_reading [], bigint [], boolean);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS telemetry.judge_vehicle_readings(api.vehicle_reading [], bigint [], boolean);
