-- Policies as data: what the database should keep, how, and for how long; what is archived; and what the embedded
-- database, which has no background workers, has run.

SET LOCAL ROLE energy_owner;

CREATE TABLE ops.policy (
    object text COLLATE "C" PRIMARY KEY,
    chunk_interval interval NOT NULL,
    compress_after interval,
    drop_after interval,
    accept_for interval,
    live_start interval,
    live_end interval,
    live_every interval,
    late_start interval,
    late_every interval,
    archive boolean NOT NULL DEFAULT FALSE,
    -- ingest obeys it at once, so it cannot wait for ops.apply_policies to refuse
    CONSTRAINT a_history_accepts_readings CHECK (accept_for IS NOT NULL OR object NOT LIKE 'telemetry.%history')
);

COMMENT ON TABLE ops.policy IS 'What the database should keep, how, and for how long: a row per object. Change it with ops.set_policy, or UPDATE it, and have the database follow with ops.apply_policies';
COMMENT ON COLUMN ops.policy.object IS 'The table or aggregate, with its schema';
COMMENT ON COLUMN ops.policy.chunk_interval IS 'Time that a chunk covers; those that are there keep theirs';
COMMENT ON COLUMN ops.policy.compress_after IS 'Age (of its end) at which a chunk goes to the columnstore; NULL for never';
COMMENT ON COLUMN ops.policy.drop_after IS 'Age (of its end) at which a chunk is dropped; NULL for never';
COMMENT ON COLUMN ops.policy.accept_for IS 'Age beyond which a reading is refused as timestamp_too_old; of the histories only';
COMMENT ON COLUMN ops.policy.live_start IS 'The live tier refreshes from this long ago; of the aggregates only, as all tiers';
COMMENT ON COLUMN ops.policy.live_end IS 'The live tier refreshes up to this long ago; what is newer is read in real time';
COMMENT ON COLUMN ops.policy.live_every IS 'The live tier runs this often';
COMMENT ON COLUMN ops.policy.late_start IS 'The late tier refreshes from this long ago up to where the live tier begins';
COMMENT ON COLUMN ops.policy.late_every IS 'The late tier runs this often, at night (UTC)';
COMMENT ON COLUMN ops.policy.archive IS 'Whether a chunk is dropped only once `energy archive` has a verified copy; of the histories only';

INSERT INTO ops.policy (
    object, chunk_interval, compress_after, drop_after, accept_for, live_start, live_end, live_every, late_start, late_every
)
VALUES
('telemetry.meter_telemetry_history', '1 day', '3 days', '2 years', '2 years', NULL, NULL, NULL, NULL, NULL),
('telemetry.vehicle_telemetry_history', '1 day', '3 days', '2 years', '2 years', NULL, NULL, NULL, NULL, NULL),
('telemetry.rejected_reading', '1 day', NULL, '30 days', NULL, NULL, NULL, NULL, NULL, NULL),
('bi.meter_15min', '7 days', '3 days', '5 years', NULL, '3 hours', '15 minutes', '5 minutes', '700 days', '1 day'),
('bi.vehicle_15min', '7 days', '3 days', '5 years', NULL, '3 hours', '15 minutes', '5 minutes', '700 days', '1 day'),
('bi.meter_hourly', '28 days', '3 days', '10 years', NULL, '4 hours', '1 hour', '15 minutes', '700 days', '1 day'),
('bi.vehicle_hourly', '28 days', '3 days', '10 years', NULL, '4 hours', '1 hour', '15 minutes', '700 days', '1 day'),
('bi.meter_daily', '364 days', '4 days', NULL, NULL, '4 days', '1 day', '1 hour', '700 days', '1 day'),
('bi.vehicle_daily', '364 days', '4 days', NULL, NULL, '4 days', '1 day', '1 hour', '700 days', '1 day');

-- what is kept longer than that, or for good, on this database is not to be dropped by an upgrade
UPDATE ops.policy AS p SET drop_after = h.drop_after
FROM (
    SELECT i.hypertable_schema || '.' || i.hypertable_name AS object, (j.config ->> 'drop_after')::interval AS drop_after
    FROM timescaledb_information.hypertables AS i
    LEFT JOIN timescaledb_information.jobs AS j
        ON i.hypertable_schema = j.hypertable_schema
        AND i.hypertable_name = j.hypertable_name AND j.proc_name = 'policy_retention'
) AS h
WHERE p.object = h.object AND (h.drop_after IS NULL OR h.drop_after > p.drop_after);

GRANT
SELECT,
UPDATE (
    chunk_interval, compress_after, drop_after, accept_for, live_start, live_end, live_every, late_start, late_every, archive
)
ON ops.policy TO energy_dba;

-- energy archive writes it; a chunk is dropped only while its rows are those that are archived
CREATE TABLE ops.archived_chunk (
    stream text NOT NULL CHECK (stream IN ('meter', 'vehicle')),
    range_start timestamptz NOT NULL,
    range_end timestamptz NOT NULL,
    readings bigint NOT NULL,
    fingerprint numeric NOT NULL,
    location text NOT NULL,
    sha256 text NOT NULL,
    verified_at timestamptz NOT NULL DEFAULT now(),
    dropped_at timestamptz,
    keep_until timestamptz,
    PRIMARY KEY (stream, range_start)
);

COMMENT ON TABLE ops.archived_chunk IS 'Chunks of the histories of which energy archive has a verified copy';
COMMENT ON COLUMN ops.archived_chunk.stream IS 'meter or vehicle';
COMMENT ON COLUMN ops.archived_chunk.range_start IS 'Start of the chunk';
COMMENT ON COLUMN ops.archived_chunk.range_end IS 'End of the chunk, itself not included';
COMMENT ON COLUMN ops.archived_chunk.readings IS 'Rows in the copy';
COMMENT ON COLUMN ops.archived_chunk.fingerprint IS 'Sum of the hashes of the chunk''s rows when they were copied, by which a change since then is seen';
COMMENT ON COLUMN ops.archived_chunk.location IS 'The copy: a path or address of a Parquet file';
COMMENT ON COLUMN ops.archived_chunk.sha256 IS 'SHA-256 of the file, hexadecimal';
COMMENT ON COLUMN ops.archived_chunk.verified_at IS 'When the file had been read back and was found to be the chunk';
COMMENT ON COLUMN ops.archived_chunk.dropped_at IS 'When the chunk was dropped; NULL while it is there';
COMMENT ON COLUMN ops.archived_chunk.keep_until IS 'Restored, and not to be dropped again before; NULL for any time';

GRANT SELECT ON ops.archived_chunk TO energy_dba;

CREATE TABLE ops.job_run (
    job_id bigint PRIMARY KEY,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    failures bigint NOT NULL DEFAULT 0,
    error text
);

COMMENT ON TABLE ops.job_run IS 'The last run of each job where the service runs them, as on the embedded database; elsewhere TimescaleDB keeps account itself';
COMMENT ON COLUMN ops.job_run.job_id IS 'TimescaleDB''s number of the job';
COMMENT ON COLUMN ops.job_run.started_at IS 'When the last run began';
COMMENT ON COLUMN ops.job_run.finished_at IS 'When the last run ended; NULL while it runs, or where it was cut off';
COMMENT ON COLUMN ops.job_run.failures IS 'Runs that failed';
COMMENT ON COLUMN ops.job_run.error IS 'Why the last run failed; NULL where it did not';

ALTER TABLE telemetry.fleet ADD COLUMN disk_bound_bytes bigint CHECK (disk_bound_bytes > 0);

COMMENT ON COLUMN telemetry.fleet.disk_bound_bytes IS 'What the database may take on its disk, bytes, for ops.storage to say how long that lasts; ops.set_disk_bound sets it, NULL for unknown';

-- what made the policies of version 0010; ops.apply_policies makes them all from now on
SELECT public.delete_job(j.job_id) FROM timescaledb_information.jobs AS j
WHERE j.proc_schema = 'ops' AND j.proc_name = 'refresh_daily';
RESET ROLE;

-- late readings are taken up where aggregates are in the columnstore: a refresh may unpack what it has to
ALTER ROLE energy_owner SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0;
