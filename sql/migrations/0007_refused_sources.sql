-- How much each sender was refused, so that one broken device cannot fill the disk; and what became of a refused reading
-- that was sent again after a fix.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.refused_source (
    source text COLLATE "C" PRIMARY KEY,
    day date NOT NULL,
    refused_on_day bigint NOT NULL,
    refused bigint NOT NULL,
    not_kept bigint NOT NULL,
    last_refused_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

COMMENT ON TABLE telemetry.refused_source IS 'How many readings of each sender were refused, and how many of them telemetry.rejected_reading did not take';
COMMENT ON COLUMN telemetry.refused_source.source IS 'Who sent them: the network address; empty where nobody knows';
COMMENT ON COLUMN telemetry.refused_source.day IS 'The last day with a refusal, UTC';
COMMENT ON COLUMN telemetry.refused_source.refused_on_day IS 'Readings refused on that day';
COMMENT ON COLUMN telemetry.refused_source.refused IS 'Readings refused since the first one';
COMMENT ON COLUMN telemetry.refused_source.not_kept IS 'Those of them beyond telemetry.refused_readings_kept_a_day: counted, and not kept';
COMMENT ON COLUMN telemetry.refused_source.last_refused_at IS 'The server''s time of the last refusal';

ALTER TABLE telemetry.rejected_reading ADD COLUMN replayed_at timestamptz;
ALTER TABLE telemetry.rejected_reading ADD COLUMN replay_outcome text;

COMMENT ON COLUMN telemetry.rejected_reading.replayed_at IS 'When it was last sent again by energy rejected replay';
COMMENT ON COLUMN telemetry.rejected_reading.replay_outcome IS 'What became of it then: stored and duplicate settle it';

-- these get a parameter, with which they are other functions; the code of this version makes those
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS api.ingest_meter_readings(api.meter_reading []);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS api.ingest_vehicle_readings(api.vehicle_reading []);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS telemetry.judge_meter_readings(api.meter_reading [], bigint []);
-- squawk-ignore ban-drop-function
DROP FUNCTION IF EXISTS telemetry.judge_vehicle_readings(api.vehicle_reading [], bigint []);
