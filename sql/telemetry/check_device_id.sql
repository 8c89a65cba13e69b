-- One expression, bound when it is created (RETURN): the planner inlines it into the ingest functions, and it depends
-- on no search_path. The length is checked separately, as a count in a regular expression ({0,63}) is seven times as
-- slow.

CREATE OR REPLACE FUNCTION telemetry.check_device_id(p_field text, p_id text) RETURNS telemetry.rejection
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN length(p_id) <= 64 AND p_id ~ '^[A-Za-z0-9][A-Za-z0-9._:-]*$' THEN NULL
    ELSE ROW(
        'id_invalid',
        p_field || ' must be 1 to 64 characters of A-Z a-z 0-9 . _ : - and begin with a letter or a digit'
    )::telemetry.rejection
END;

REVOKE EXECUTE ON FUNCTION telemetry.check_device_id (text, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.check_device_id (text, text) IS
'NULL for a valid device id, else the rejection id_invalid; p_field is the wire name for the text';
