-- Two runs that did not make it, and five minutes, which a run may take.

CREATE OR REPLACE FUNCTION telemetry.refresh_patience(p_kind text) RETURNS interval
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    SELECT 2 * p.refresh_every + INTERVAL '5 minutes' FROM ops.policy AS p WHERE p.object = 'bi.' || p_kind || '_15min';
$$;

REVOKE EXECUTE ON FUNCTION telemetry.refresh_patience (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.refresh_patience (text) IS
'How long what is stale in the aggregates of a kind (meter or vehicle) may stay so before it is called late';
