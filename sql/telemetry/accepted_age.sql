-- How far back a reading may lie follows ops.policy, and never reaches what retention drops, even while an UPDATE that
-- ops.apply_policies would refuse stands there.

CREATE OR REPLACE FUNCTION telemetry.accepted_age(p_stream text) RETURNS interval
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT least(p.accept_for, p.drop_after) FROM ops.policy AS p WHERE p.object = 'telemetry.' || p_stream || '_telemetry_history';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.accepted_age (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.accepted_age (text) IS
'Age beyond which a reading of a stream (meter or vehicle) is refused as timestamp_too_old';
