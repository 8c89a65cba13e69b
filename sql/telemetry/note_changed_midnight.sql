-- A trigger on the tables of the quarter hours, which fires for the first one of each day. TimescaleDB (2.23 to 2.29, its issue
-- 10296) forgets a bucket of a named time zone where the changes of its source end exactly at its start, so of such days
-- we keep account ourselves, in the transaction of each change, whoever refreshes what.

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
'Adds the day that a quarter hour (of the kind given to the trigger: meter or vehicle) begins to telemetry.changed_midnight';
