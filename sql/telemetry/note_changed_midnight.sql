-- A trigger on the tables of the quarter hours, for the first one of each day. TimescaleDB (2.23 to 2.29, its issue
-- 10296) can forget a bucket of a named time zone. It does so if the changes of its source end exactly at its start. So
-- such days are recorded here, in the transaction of each change.

CREATE OR REPLACE FUNCTION telemetry.note_changed_midnight() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    INSERT INTO telemetry.changed_midnight (kind, day) VALUES (tg_argv[0], new.bucket) ON CONFLICT DO NOTHING;
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_changed_midnight () FROM PUBLIC;

COMMENT ON FUNCTION telemetry.note_changed_midnight () IS
'Adds the day that begins with a quarter hour (of the kind given to the trigger: meter or vehicle) to telemetry.changed_midnight';
