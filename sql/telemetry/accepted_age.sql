-- How far back a reading may lie follows ops.policy, which keeps it within what retention leaves.

CREATE OR REPLACE FUNCTION telemetry.accepted_age(p_stream text) RETURNS interval
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT p.accept_for FROM ops.policy AS p WHERE p.object = 'telemetry.' || p_stream || '_telemetry_history';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.accepted_age (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.accepted_age (text) IS
'Age beyond which a reading of a stream (meter or vehicle) is refused as timestamp_too_old';
