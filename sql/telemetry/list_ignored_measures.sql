-- NULL for a reading with nothing ignored: almost all of them, and cheaper to return than an empty array.

CREATE OR REPLACE FUNCTION telemetry.list_ignored_measures(VARIADIC p_ignored api.ignored_measure [])
RETURNS api.ignored_measure []
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(array_remove(p_ignored, NULL), '{}');

REVOKE EXECUTE ON FUNCTION telemetry.list_ignored_measures (api.ignored_measure []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.list_ignored_measures (api.ignored_measure []) IS
'The ignored measures of one reading, of those that are not NULL; NULL if there are none';
