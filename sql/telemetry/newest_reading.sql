-- The current status has one row a device; the history of a day may have millions without an index on the time.

CREATE OR REPLACE FUNCTION telemetry.newest_reading(p_kind text) RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT CASE p_kind
        WHEN 'meter' THEN (SELECT max(s.recorded_at) FROM telemetry.meter_current_status AS s)
        ELSE (SELECT max(s.recorded_at) FROM telemetry.vehicle_current_status AS s)
    END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.newest_reading (text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.newest_reading (text) IS
'The device''s own time of the newest reading of a kind (meter or vehicle); NULL without any';
