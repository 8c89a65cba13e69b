-- The limit is the setting of ops.policy that was last applied: a row that was not applied rejects nothing.

CREATE OR REPLACE FUNCTION telemetry.accepted_age(p_kind text) RETURNS interval
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT a.accept_for FROM ops.applied_policy AS a WHERE a.object = 'telemetry.' || p_kind || '_telemetry_history';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.accepted_age (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.accepted_age (text) IS
'Age beyond which a reading of a kind (meter or vehicle) is rejected as timestamp_too_old';
