-- By number, so that a page never misses an alert that is opened or closed meanwhile.

CREATE OR REPLACE FUNCTION api.list_current_alerts(
    p_closed_since timestamptz, p_after bigint, p_limit integer
) RETURNS SETOF telemetry.alert
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
    SELECT a.*
    FROM telemetry.alert AS a
    WHERE (a.closed_at IS NULL OR a.close_noted_at >= p_closed_since) AND a.id > p_after
    ORDER BY a.id
    LIMIT p_limit;
$$;

REVOKE EXECUTE ON FUNCTION api.list_current_alerts (timestamptz, bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_current_alerts (timestamptz, bigint, integer) TO energy_service;

COMMENT ON FUNCTION api.list_current_alerts (timestamptz, bigint, integer) IS
'Up to p_limit alerts after number p_after, in order of number: the open ones, and those that the server has closed since p_closed_since';
