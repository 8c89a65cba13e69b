-- What the functions of analytics answer in lists.

SET LOCAL ROLE energy_owner;

CREATE TYPE api.efficiency_band AS (
    ratio_from double precision,
    ratio_to double precision,
    vehicles bigint
);

COMMENT ON TYPE api.efficiency_band IS 'How many vehicles have an efficiency in a band';
COMMENT ON COLUMN api.efficiency_band.ratio_from IS 'Lower end of the band, DC delivered / AC consumed, included';
COMMENT ON COLUMN api.efficiency_band.ratio_to IS 'Upper end of the band, DC delivered / AC consumed, excluded; NULL where it has none';
COMMENT ON COLUMN api.efficiency_band.vehicles IS 'Vehicles in the band';

CREATE TYPE api.silent_device AS (
    stream text,
    device_id text,
    recorded_at timestamptz,
    expected_interval_s double precision
);

COMMENT ON TYPE api.silent_device IS 'A device that has not sent a reading for too long';
COMMENT ON COLUMN api.silent_device.stream IS 'meter or vehicle';
COMMENT ON COLUMN api.silent_device.device_id IS 'The device''s id';
COMMENT ON COLUMN api.silent_device.recorded_at IS 'Its own time of its newest reading';
COMMENT ON COLUMN api.silent_device.expected_interval_s IS 'Time between two of its readings, seconds';
