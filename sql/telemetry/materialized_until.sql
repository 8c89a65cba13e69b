-- Nothing is materialized above the watermark, so nothing can be lost there.

CREATE OR REPLACE FUNCTION telemetry.materialized_until(p_source text) RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, ops, pg_temp
AS $$
    SELECT max(telemetry.held_until(substr(p.object, 4)))
    FROM ops.policy AS p
    WHERE p.object LIKE 'bi.%' AND telemetry.aggregate_source(substr(p.object, 4)) = p_source;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.materialized_until (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.materialized_until (text) IS
'The time before which an aggregate of p_source (a history or aggregate with its schema) is materialized';
