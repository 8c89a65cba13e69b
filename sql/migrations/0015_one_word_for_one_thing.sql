-- One word for one thing (docs/architecture.md, Words): meter or vehicle is the kind of a device, and a reading that was not
-- stored is rejected. Columns, types and tables are renamed. Functions and views with the old words go; the code of this
-- version makes those with the new ones.
-- squawk-ignore-file renaming-column, renaming-table, renaming-object, ban-drop-function, ban-drop-view

SET LOCAL ROLE energy_owner;

DO $$
DECLARE
    v_dropped pg_catalog.text;
BEGIN
    -- a function with a new parameter name is another function to PostgreSQL
    FOR v_dropped IN
        SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text
        FROM pg_catalog.pg_proc AS p
        WHERE
            p.pronamespace::pg_catalog.regnamespace::pg_catalog.text IN ('api', 'telemetry', 'ops')
            AND p.prokind = 'f'
            AND (p.proname LIKE '%refuse%' OR p.proargnames::pg_catalog.text LIKE '%stream%' OR p.proargnames::pg_catalog.text LIKE '%refused%')
    LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', v_dropped);
    END LOOP;
    FOR v_dropped IN
        SELECT format('%I.%I', c.table_schema, c.table_name)
        FROM information_schema.columns AS c
        JOIN information_schema.views AS v ON v.table_schema = c.table_schema AND v.table_name = c.table_name
        WHERE c.table_schema = 'ops' AND c.column_name = 'stream'
    LOOP
        EXECUTE format('DROP VIEW IF EXISTS %s CASCADE', v_dropped);
    END LOOP;
END;
$$;

-- their settings have the new word; ops.apply_policies makes those of this version
SELECT public.delete_job(j.job_id) FROM timescaledb_information.jobs AS j
WHERE j.proc_schema = 'ops' AND j.proc_name = 'refresh_aggregates';

ALTER TABLE telemetry.rejected_reading RENAME COLUMN stream TO kind;
ALTER TABLE telemetry.import_progress RENAME COLUMN stream TO kind;
ALTER TABLE telemetry.import_progress RENAME COLUMN refused_bytes TO rejected_bytes;
ALTER TABLE telemetry.device_profile RENAME COLUMN stream TO kind;
ALTER TABLE telemetry.api_key RENAME COLUMN stream TO kind;
ALTER TABLE ops.archived_chunk RENAME COLUMN stream TO kind;
ALTER TYPE api.silent_device RENAME ATTRIBUTE stream TO kind;
ALTER TYPE api.refused_reading RENAME ATTRIBUTE stream TO kind;
ALTER TYPE api.refused_reading RENAME TO rejected_reading;

ALTER TABLE telemetry.refused_source RENAME TO rejected_source;
ALTER TABLE telemetry.rejected_source RENAME COLUMN refused_on_day TO rejected_on_day;
ALTER TABLE telemetry.rejected_source RENAME COLUMN refused TO rejected;
ALTER TABLE telemetry.rejected_source RENAME COLUMN last_refused_at TO last_rejected_at;
ALTER INDEX telemetry.refused_source_pkey RENAME TO rejected_source_pkey;
ALTER TYPE telemetry.refusal RENAME TO rejection;

COMMENT ON TABLE telemetry.rejected_reading IS 'Readings that were well-formed JSON but rejected, kept 30 days';
COMMENT ON COLUMN telemetry.rejected_reading.rejected_id IS 'Number of the rejection';
COMMENT ON COLUMN api.meter_reading.source IS 'Who sent it (network address); kept only where the reading is rejected';
COMMENT ON COLUMN api.vehicle_reading.source IS 'Who sent it (network address); kept only where the reading is rejected';
COMMENT ON TYPE api.rejected_reading IS 'A reading whose shape the service rejected before it could become a typed one';
COMMENT ON TYPE telemetry.rejection IS 'Why a reading is rejected; NULL where it is not';
COMMENT ON TABLE telemetry.rejected_source IS 'How many readings of each sender were rejected, and how many of them telemetry.rejected_reading did not take';
COMMENT ON COLUMN telemetry.rejected_source.day IS 'The last day with a rejection, UTC';
COMMENT ON COLUMN telemetry.rejected_source.rejected_on_day IS 'Readings rejected on that day';
COMMENT ON COLUMN telemetry.rejected_source.rejected IS 'Readings rejected since the first one';
COMMENT ON COLUMN telemetry.rejected_source.not_kept IS 'Those of them beyond telemetry.rejected_readings_kept_a_day: counted, and not kept';
COMMENT ON COLUMN telemetry.rejected_source.last_rejected_at IS 'The server''s time of the last rejection';
COMMENT ON COLUMN telemetry.import_progress.rows_done IS 'Rows of the file that are dealt with, the rejected ones among them';
COMMENT ON COLUMN telemetry.import_progress.rejected_bytes IS 'Length of the file of rejected rows that belongs to rows_done, bytes';
COMMENT ON COLUMN telemetry.device_profile.max_kw IS 'The most power it can carry, kW; a reading of more than twice that is rejected; NULL rejects none';
COMMENT ON COLUMN ops.policy.accept_for IS 'Age beyond which a reading is rejected as timestamp_too_old; of the histories only';
