-- Two missed runs, and five minutes for the length of a run.

CREATE OR REPLACE FUNCTION telemetry.refresh_patience(p_kind text) RETURNS interval
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT 2 * p.refresh_every + INTERVAL '5 minutes' FROM ops.policy AS p WHERE p.object = 'bi.' || p_kind || '_15min';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.refresh_patience (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.refresh_patience (text) IS
'The time after which stale buckets in the aggregates of a kind (meter or vehicle) are reported as late';
