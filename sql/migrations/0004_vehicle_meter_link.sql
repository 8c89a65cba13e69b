-- Which meter feeds which vehicle, and when; and what holds where nobody has said.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.vehicle_meter_link (
    vehicle_id text COLLATE "C" NOT NULL,
    meter_id text COLLATE "C" NOT NULL,
    during tstzrange NOT NULL,
    PRIMARY KEY (vehicle_id, during),
    CONSTRAINT during_is_half_open CHECK (
        NOT isempty(during) AND (lower_inc(during) OR lower_inf(during)) AND NOT upper_inc(during)
    ),
    CONSTRAINT vehicle_has_one_meter_at_a_time EXCLUDE USING gist (vehicle_id WITH =, during WITH &&),
    CONSTRAINT meter_feeds_one_vehicle_at_a_time EXCLUDE USING gist (meter_id WITH =, during WITH &&)
);

COMMENT ON TABLE telemetry.vehicle_meter_link IS 'Which meter feeds which vehicle, and when: a vehicle has one meter at a time, a meter one vehicle';
COMMENT ON COLUMN telemetry.vehicle_meter_link.vehicle_id IS 'The vehicle that is fed';
COMMENT ON COLUMN telemetry.vehicle_meter_link.meter_id IS 'The meter that feeds it';
COMMENT ON COLUMN telemetry.vehicle_meter_link.during IS 'When: from (included) to (excluded); without an end it still holds';

-- State, not code: a fleet with another naming scheme replaces this one function, and no later migrate undoes that.
CREATE FUNCTION telemetry.default_meter_id(p_vehicle_id text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.meter_id
    FROM telemetry.meter_current_status AS s
    WHERE
        s.meter_id = p_vehicle_id
        OR (p_vehicle_id LIKE 'V%' AND s.meter_id = 'M' || pg_catalog.substr(p_vehicle_id, 2))
    ORDER BY s.meter_id = p_vehicle_id DESC
    LIMIT 1;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.default_meter_id (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.default_meter_id (text) IS
'The meter of a vehicle that has no link at a time: the meter of the same id if one reports, else V<rest> -> M<rest> if that one reports, else NULL. A DBA may replace it (CREATE OR REPLACE as energy_owner)';
