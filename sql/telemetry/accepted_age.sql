-- How far back a reading may lie is what was last applied of ops.policy: a row there that nobody has applied rejects nothing.

CREATE OR REPLACE FUNCTION telemetry.accepted_age(p_kind text) RETURNS interval
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT a.accept_for FROM ops.applied_policy AS a WHERE a.object = 'telemetry.' || p_kind || '_telemetry_history';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.accepted_age (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.accepted_age (text) IS
'Age beyond which a reading of a kind (meter or vehicle) is rejected as timestamp_too_old';
