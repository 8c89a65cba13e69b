-- For queries about one device; views over many devices join its sources instead.

CREATE OR REPLACE FUNCTION telemetry.device_interval(p_kind text, p_device_id text) RETURNS interval
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT telemetry.expected_interval(
        (SELECT p.expected_interval FROM telemetry.device_profile AS p WHERE p.kind = p_kind AND p.device_id = p_device_id),
        CASE p_kind
            WHEN 'meter' THEN (SELECT s.observed_interval FROM telemetry.meter_current_status AS s WHERE s.meter_id = p_device_id)
            ELSE (SELECT s.observed_interval FROM telemetry.vehicle_current_status AS s WHERE s.vehicle_id = p_device_id)
        END
    );
$$;

REVOKE EXECUTE ON FUNCTION telemetry.device_interval (text, text) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.device_interval (text, text) IS
'Expected time between two readings of a device of a kind (meter or vehicle): from its profile, else as observed, else a minute';
