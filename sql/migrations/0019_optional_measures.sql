-- Energy is required, measures are not: a voltage, state of charge or battery temperature that was not measured is NULL, and one
-- outside its range is ignored. The aggregates know NULL since migration 0014. Functions that answer otherwise now go; the
-- code of this version makes them again.
-- squawk-ignore-file ban-drop-function, ban-drop-not-null

SET LOCAL ROLE energy_owner;

ALTER TABLE telemetry.meter_telemetry_history ALTER COLUMN voltage DROP NOT NULL;
ALTER TABLE telemetry.vehicle_telemetry_history ALTER COLUMN soc DROP NOT NULL;
ALTER TABLE telemetry.vehicle_telemetry_history ALTER COLUMN battery_temp DROP NOT NULL;
ALTER TABLE telemetry.meter_current_status ALTER COLUMN voltage DROP NOT NULL;
ALTER TABLE telemetry.vehicle_current_status ALTER COLUMN soc DROP NOT NULL;
ALTER TABLE telemetry.vehicle_current_status ALTER COLUMN battery_temp DROP NOT NULL;

COMMENT ON COLUMN telemetry.meter_telemetry_history.voltage IS 'Mains voltage, V; NULL where it was not measured';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.soc IS 'State of charge of the battery, percent; NULL where it was not measured';
COMMENT ON COLUMN telemetry.vehicle_telemetry_history.battery_temp IS 'Battery temperature, degrees Celsius; NULL where it was not measured';
COMMENT ON COLUMN telemetry.meter_current_status.voltage IS 'Mains voltage, V; NULL where that reading did not measure it';
COMMENT ON COLUMN telemetry.vehicle_current_status.soc IS 'State of charge of the battery, percent; NULL where that reading did not measure it';
COMMENT ON COLUMN telemetry.vehicle_current_status.battery_temp IS 'Battery temperature, degrees Celsius; NULL where that reading did not measure it';

COMMENT ON COLUMN api.meter_reading.voltage IS 'Mains voltage, V, 0 to 1500; NULL if not measured';
COMMENT ON COLUMN api.vehicle_reading.soc IS 'State of charge, percent, 0 to 100; NULL if not measured';
COMMENT ON COLUMN api.vehicle_reading.battery_temp IS 'Battery temperature, degrees Celsius, -60 to 120; NULL if not measured';

CREATE TYPE api.ignored_measure AS (
    field text,
    code text,
    detail text
);

COMMENT ON TYPE api.ignored_measure IS 'A measure of a stored reading that was ignored: it is stored as not measured';
COMMENT ON COLUMN api.ignored_measure.field IS 'The name of the measure on the wire';
COMMENT ON COLUMN api.ignored_measure.code IS 'Stable code of the reason';
COMMENT ON COLUMN api.ignored_measure.detail IS 'The reason in words: the field and the limit';

ALTER TABLE telemetry.rejected_reading ADD COLUMN is_stored boolean NOT NULL DEFAULT FALSE;

COMMENT ON TABLE telemetry.rejected_reading IS 'Readings that were well-formed JSON but rejected, and stored readings with an ignored measure (is_stored), kept 30 days';
COMMENT ON COLUMN telemetry.rejected_reading.is_stored IS 'True for a reading that was stored without the measures that detail names; a replay does not send it again';
COMMENT ON COLUMN telemetry.rejected_reading.code IS 'Stable code of the reason, as the device got it; of the first ignored measure where the reading was stored';

-- an allowance of their own: a broken thermometer must not use up that of the rejected readings of its sender
ALTER TABLE telemetry.rejected_source ADD COLUMN ignored_on_day bigint NOT NULL DEFAULT 0;
ALTER TABLE telemetry.rejected_source ADD COLUMN ignored bigint NOT NULL DEFAULT 0;

COMMENT ON TABLE telemetry.rejected_source IS 'How many readings of each sender were rejected, or stored with an ignored measure, and how many of them telemetry.rejected_reading did not take';
COMMENT ON COLUMN telemetry.rejected_source.day IS 'The last day with a rejection or an ignored measure, UTC';
COMMENT ON COLUMN telemetry.rejected_source.not_kept IS 'Of the rejected and the ignored, those beyond telemetry.rejected_readings_kept_a_day: counted, and not kept';
COMMENT ON COLUMN telemetry.rejected_source.last_rejected_at IS 'The server''s time of the last rejection or ignored measure';
COMMENT ON COLUMN telemetry.rejected_source.ignored_on_day IS 'Readings stored with an ignored measure on that day';
COMMENT ON COLUMN telemetry.rejected_source.ignored IS 'Readings stored with an ignored measure since the first one';

DROP FUNCTION IF EXISTS api.ingest_meter_readings(api.meter_reading [], boolean);
DROP FUNCTION IF EXISTS api.ingest_vehicle_readings(api.vehicle_reading [], boolean);
