-- How far an import of a file is: written in the transaction of each of its chunks, so that an import which was killed
-- goes on after the last row that is stored. A row is deleted when its import is complete: the history itself makes a
-- second import of the same file harmless, and what is left here is unfinished.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.import_progress (
    import_id text COLLATE "C" PRIMARY KEY,
    stream text NOT NULL CHECK (stream IN ('meter', 'vehicle')),
    file_name text NOT NULL,
    rows_done bigint NOT NULL DEFAULT 0,
    stored bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    conflicts bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    refused_bytes bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE telemetry.import_progress IS 'Imports of files that have begun and are not complete';
COMMENT ON COLUMN telemetry.import_progress.import_id IS 'SHA-256, hexadecimal, of the file''s content and of the options that say what it means';
COMMENT ON COLUMN telemetry.import_progress.stream IS 'meter or vehicle';
COMMENT ON COLUMN telemetry.import_progress.file_name IS 'The file''s name when the import began, for people';
COMMENT ON COLUMN telemetry.import_progress.rows_done IS 'Rows of the file that are dealt with, the refused ones among them';
COMMENT ON COLUMN telemetry.import_progress.stored IS 'Rows of them that were stored';
COMMENT ON COLUMN telemetry.import_progress.duplicates IS 'Rows of them that had been stored before with the same values';
COMMENT ON COLUMN telemetry.import_progress.conflicts IS 'Rows of them that had been stored before with other values, which are kept';
COMMENT ON COLUMN telemetry.import_progress.rejected IS 'Rows of them that are not readings';
COMMENT ON COLUMN telemetry.import_progress.refused_bytes IS 'Length of the file of refused rows that belongs to rows_done, bytes';
COMMENT ON COLUMN telemetry.import_progress.started_at IS 'When the import began';
COMMENT ON COLUMN telemetry.import_progress.updated_at IS 'When its last chunk was stored';
