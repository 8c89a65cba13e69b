-- The pulse of a fleet, for pages that ask every few seconds: it reads the two tables of current status, and no
-- history. Readings per minute are estimated: each device with a reading in the last minute counts with its own rate.
-- An index of the history on the time of arrival would slow the ingest down.

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
        max(d.received_at),
        coalesce(
            sum(greatest(1, 60 / extract(EPOCH FROM d.expected_interval))) FILTER (WHERE d.received_at > now() - INTERVAL '1 minute'),
            0
        )::double precision,
        count(*) FILTER (WHERE d.kind = 'meter'),
        count(*) FILTER (WHERE d.kind = 'meter' AND d.is_silent),
        count(*) FILTER (WHERE d.kind = 'vehicle'),
        count(*) FILTER (WHERE d.kind = 'vehicle' AND d.is_silent),
        count(*) FILTER (WHERE d.is_charging)
    FROM telemetry.list_devices() AS d;
$$;

REVOKE EXECUTE ON FUNCTION api.get_fleet_pulse () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.get_fleet_pulse () TO energy_service;

COMMENT ON FUNCTION api.get_fleet_pulse () IS
'The fleet at this moment (at), and its time zone: arrival of the newest status, readings per minute, meters and vehicles and the number of each that are silent (telemetry.is_silent), and vehicles that are charging';
