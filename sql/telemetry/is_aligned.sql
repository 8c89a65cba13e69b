-- A meter of longer intervals than the vehicle's tells nothing about a part of one. A difference of up to one interval of
-- the vehicle at either end is allowed, as stamps differ. Inlined into the views of bi, so their readers may execute it.

CREATE OR REPLACE FUNCTION telemetry.is_aligned(
    p_started_at timestamptz, p_ended_at timestamptz, p_meter_first_at timestamptz, p_meter_last_at timestamptz,
    p_meter_interval interval, p_vehicle_interval interval
) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN p_meter_interval <= 1.25 * p_vehicle_interval OR (
    p_meter_first_at - p_meter_interval
    BETWEEN p_started_at - p_vehicle_interval AND p_started_at + p_vehicle_interval
    AND p_ended_at - p_meter_last_at <= p_vehicle_interval
);

REVOKE EXECUTE ON FUNCTION telemetry.is_aligned (
    timestamptz, timestamptz, timestamptz, timestamptz, interval, interval
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.is_aligned (
    timestamptz, timestamptz, timestamptz, timestamptz, interval, interval
) TO energy_bi;

COMMENT ON FUNCTION telemetry.is_aligned (
    timestamptz, timestamptz, timestamptz, timestamptz, interval, interval
) IS
'True if the AC and the DC side of a charging session are of the same time: the meter''s interval is no longer than the vehicle''s (by a quarter), or whole ones of it, from before p_meter_first_at to p_meter_last_at, begin and end with the session';
