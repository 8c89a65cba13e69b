-- A bucket that is still filling is better read in real time. Hours and days end where their quarter hours end, as they
-- would be stale at once beyond; but for a silent fleet nothing is beyond.

CREATE OR REPLACE FUNCTION telemetry.refresh_limit(p_aggregate text) RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, ops, pg_temp
AS $$
DECLARE
    v_kind CONSTANT text := split_part(p_aggregate, '_', 1);
    v_resolution CONSTANT text := split_part(p_aggregate, '_', 2);
    v_of_quarters CONSTANT timestamptz := telemetry.held_until(v_kind || '_15min');
    v_limit timestamptz := now() - (
        SELECT a.refresh_after FROM ops.applied_policy AS a WHERE a.object = 'bi.' || p_aggregate
    );
BEGIN
    IF v_resolution <> '15min' AND NOT v_of_quarters > '0001-01-01 00:00:00Z' THEN
        RETURN v_of_quarters; -- the earliest possible time, in no bucket: nothing is materialized
    ELSIF v_resolution <> '15min' AND telemetry.newest_reading(v_kind) > v_of_quarters THEN
        v_limit := least(v_limit, v_of_quarters);
    END IF;
    RETURN public.time_bucket(
        telemetry.bucket_width(v_resolution), v_limit,
        CASE WHEN v_resolution = 'daily' THEN (SELECT f.time_zone FROM telemetry.fleet AS f) ELSE 'UTC' END
    );
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.refresh_limit (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.refresh_limit (text) IS
'The end of the newest bucket up to which the aggregate bi.<p_aggregate> is to be materialized now';
