-- A clock that is years ahead would move "latest" and every watermark with it; a reading older than the retention would
-- be dropped at once. One expression, inlined by the planner, as check_device_id.

CREATE OR REPLACE FUNCTION telemetry.check_recorded_at(
    p_recorded_at timestamptz, p_now timestamptz, p_retention interval
) RETURNS telemetry.rejection
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN p_recorded_at BETWEEN p_now - p_retention AND p_now + INTERVAL '5 minutes' THEN NULL
    WHEN p_recorded_at IS NULL THEN ROW('field_missing', 'timestamp is missing')::telemetry.rejection
    WHEN p_recorded_at > p_now
        THEN ROW(
            'timestamp_in_future',
            'timestamp ' || telemetry.format_utc(p_recorded_at)
            || ' is more than 5 minutes ahead of the server, where it is ' || telemetry.format_utc(p_now)
        )::telemetry.rejection
    ELSE ROW(
        'timestamp_too_old',
        'timestamp ' || telemetry.format_utc(p_recorded_at) || ' is older than the retention of ' || p_retention::text
    )::telemetry.rejection
END;

REVOKE EXECUTE ON FUNCTION telemetry.check_recorded_at (timestamptz, timestamptz, interval) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.check_recorded_at (timestamptz, timestamptz, interval) IS
'NULL if p_recorded_at is between p_now - p_retention and p_now + 5 minutes, else the rejection timestamp_in_future, timestamp_too_old or field_missing';
