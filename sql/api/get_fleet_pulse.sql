-- What a page that watches the fleet asks every few seconds: the two tables of current status, and nothing of the history.
-- Readings a minute are those that devices sent whose newest one came within the last minute, each as many as it sends in
-- one: history has no index on the time of arrival, and would be slower with one.

CREATE OR REPLACE FUNCTION api.get_fleet_pulse(
    OUT time_zone text,
    OUT at timestamptz,
    OUT last_received_at timestamptz,
    OUT readings_per_minute double precision,
    OUT meters bigint,
    OUT meters_silent bigint,
    OUT vehicles bigint,
    OUT vehicles_silent bigint,
    OUT vehicles_charging bigint
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT
        (SELECT f.time_zone FROM telemetry.fleet AS f),
        now(),
        max(s.received_at),
        coalesce(sum(greatest(1, 60 / i.seconds)) FILTER (WHERE s.received_at > now() - INTERVAL '1 minute'), 0),
        count(*) FILTER (WHERE s.stream = 'meter'),
        count(*) FILTER (WHERE s.stream = 'meter' AND s.recorded_at < now() - make_interval(secs => 5 * i.seconds)),
        count(*) FILTER (WHERE s.stream = 'vehicle'),
        count(*) FILTER (WHERE s.stream = 'vehicle' AND s.recorded_at < now() - make_interval(secs => 5 * i.seconds)),
        count(*) FILTER (WHERE s.kwh_dc > 0 AND s.recorded_at >= now() - make_interval(secs => 5 * i.seconds))
    FROM (
        SELECT 'meter' AS stream, m.meter_id AS device_id, m.recorded_at, m.received_at, NULL::double precision AS kwh_dc
        FROM telemetry.meter_current_status AS m
        UNION ALL
        SELECT 'vehicle', v.vehicle_id, v.recorded_at, v.received_at, v.kwh_delivered_dc
        FROM telemetry.vehicle_current_status AS v
    ) AS s
    LEFT JOIN telemetry.device_profile AS p ON p.stream = s.stream AND p.device_id = s.device_id
    CROSS JOIN LATERAL (SELECT coalesce(extract(EPOCH FROM p.expected_interval)::double precision, 60) AS seconds) AS i;
$$;

REVOKE EXECUTE ON FUNCTION api.get_fleet_pulse () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_fleet_pulse () TO energy_service;

COMMENT ON FUNCTION api.get_fleet_pulse () IS
'The fleet at this moment (at), and its time zone: when the newest status came, readings a minute, meters and vehicles and how many of each are silent (for more than 5 of their expected intervals, as in api.get_fleet_summary), and vehicles that charge';
