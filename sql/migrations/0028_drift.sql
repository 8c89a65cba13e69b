-- The schema as `energy migrate` has left it, and the end of what the job of duty drop has dropped: ops.diagnose tells
-- from them what was changed, added, dropped or truncated by hand.

SET LOCAL ROLE energy_owner;

CREATE TABLE ops.schema_object (
    kind text NOT NULL,
    object text NOT NULL,
    part_of text,
    definition text NOT NULL,
    recorded_with text NOT NULL,
    PRIMARY KEY (kind, object)
);

COMMENT ON TABLE ops.schema_object IS 'The rows of ops.list_schema as `energy migrate` left them. ops.list_drift compares';
COMMENT ON COLUMN ops.schema_object.kind IS 'table, column, constraint, index, trigger, type, sequence, aggregate, view, function and so on';
COMMENT ON COLUMN ops.schema_object.object IS 'Its name, with its schema and relation; a function with its parameters';
COMMENT ON COLUMN ops.schema_object.part_of IS 'The relation that it is part of; NULL for an object of its own';
COMMENT ON COLUMN ops.schema_object.definition IS 'Its definition in the catalog; long texts as an MD5 sum';
COMMENT ON COLUMN ops.schema_object.recorded_with IS 'The versions of PostgreSQL and TimescaleDB whose wording it has';

ALTER TABLE telemetry.dropped_time ADD COLUMN dropped_until timestamptz;

COMMENT ON COLUMN telemetry.dropped_time.dropped_until IS 'The end of the newest chunk that the job of duty drop has dropped, or that ops.accept_drift took for dropped on purpose; NULL before the first';

-- until now nobody recorded who dropped a chunk
UPDATE telemetry.dropped_time SET dropped_until = upper(times) WHERE NOT isempty(times);
