-- The devices with their newest readings, a page at a time: by id, or by the time of the newest reading. An id is found
-- by any part of it, in any case. A page continues after the last device of the one before. It reads both tables of
-- current status as a whole: an index on their times would slow the ingest down.

CREATE OR REPLACE FUNCTION api.list_devices(
    p_kind text,
    p_search text,
    p_status text,
    p_by_time boolean,
    p_descending boolean,
    p_after_time timestamptz,
    p_after_kind text,
    p_after_device_id text,
    p_limit integer
)
RETURNS TABLE (
    kind text,
    device_id text,
    status text,
    recorded_at timestamptz,
    received_at timestamptz,
    first_received_at timestamptz,
    expected_interval_s double precision,
    kwh double precision,
    voltage double precision,
    soc double precision,
    battery_temp double precision
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
    SELECT
        d.kind, d.device_id, d.status, d.recorded_at, d.received_at, d.first_received_at,
        extract(EPOCH FROM d.expected_interval)::double precision, d.kwh, d.voltage, d.soc, d.battery_temp
    FROM telemetry.device AS d
    WHERE
        (p_kind IS NULL OR d.kind = p_kind)
        AND (p_search IS NULL OR strpos(lower(d.device_id), lower(p_search)) > 0)
        AND (p_status IS NULL OR d.status = p_status)
        AND (
            p_after_device_id IS NULL
            OR CASE
                WHEN p_by_time AND p_descending
                    THEN (d.recorded_at, d.device_id, d.kind) < (p_after_time, p_after_device_id, p_after_kind)
                WHEN p_by_time
                    THEN (d.recorded_at, d.device_id, d.kind) > (p_after_time, p_after_device_id, p_after_kind)
                WHEN p_descending THEN (d.device_id, d.kind) < (p_after_device_id, p_after_kind)
                ELSE (d.device_id, d.kind) > (p_after_device_id, p_after_kind)
            END
        )
    ORDER BY
        CASE WHEN p_by_time AND NOT p_descending THEN d.recorded_at END,
        CASE WHEN p_by_time AND p_descending THEN d.recorded_at END DESC,
        CASE WHEN NOT p_descending THEN d.device_id END,
        CASE WHEN p_descending THEN d.device_id END DESC,
        CASE WHEN NOT p_descending THEN d.kind END,
        CASE WHEN p_descending THEN d.kind END DESC
    LIMIT p_limit;
$$;

REVOKE EXECUTE ON FUNCTION api.list_devices (
    text, text, text, boolean, boolean, timestamptz, text, text, integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_devices (
    text, text, text, boolean, boolean, timestamptz, text, text, integer
) TO energy_service;

COMMENT ON FUNCTION api.list_devices (
    text, text, text, boolean, boolean, timestamptz, text, text, integer
) IS
'Up to p_limit devices with their newest readings (kWh, V, percent, degrees Celsius; telemetry.device): of a kind, with p_search in their id in any case, and of a status (reporting, silent, retired); NULL does not filter. By id, or by the time of the newest reading (p_by_time), upwards or downwards, after the one with p_after_time, p_after_kind and p_after_device_id';
