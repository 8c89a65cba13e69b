-- Wh sent as kWh, or a register sent as an interval, shows beside the other devices of the kind. A device may itself draw less
-- than the median, so a thousand times too much may be some hundred times the median. Devices without energy are left out:
-- most vehicles of a fleet may be parked. So is less than a millionth of a Wh, whose ratios a double may not hold. The plan is made with the times as constants, so that only their chunks are opened.

CREATE OR REPLACE FUNCTION ops.list_excessive_devices() RETURNS TABLE (
    kind text, device_id text, kwh double precision, median_kwh double precision, devices bigint, since timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_zone CONSTANT text := (SELECT f.time_zone FROM telemetry.fleet AS f);
    v_today CONSTANT timestamp := date_trunc('day', now() AT TIME ZONE v_zone);
    v_kind text;
BEGIN
    FOREACH v_kind IN ARRAY ARRAY['meter', 'vehicle'] LOOP
        RETURN QUERY EXECUTE format(
            $query$
                WITH total AS (
                    SELECT d.%1$I AS device_id, sum(d.%2$I) AS kwh
                    FROM bi.%3$I AS d
                    WHERE d.bucket >= $1 AND d.bucket < $2
                    GROUP BY d.%1$I
                    HAVING sum(d.%2$I) > 1e-9
                ),
                usual AS MATERIALIZED ( -- else worked out again for each device
                    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t.kwh) AS kwh, count(*) AS devices FROM total AS t
                )
                SELECT %4$L::text, t.device_id::text, t.kwh, u.kwh, u.devices, $1
                FROM total AS t
                CROSS JOIN usual AS u
                WHERE u.devices >= 5 AND t.kwh / 300 >= u.kwh
                ORDER BY t.kwh DESC, t.device_id
            $query$,
            v_kind || '_id', telemetry.energy_column(v_kind), v_kind || '_daily', v_kind
        ) USING (v_today - INTERVAL '2 days') AT TIME ZONE v_zone, v_today AT TIME ZONE v_zone;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.list_excessive_devices () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.list_excessive_devices () TO energy_dba;

COMMENT ON FUNCTION ops.list_excessive_devices () IS
'Devices with at least 300 times the median energy of the devices of their kind, in the last two complete days of the fleet''s time zone: kind, device_id, energy and median (kWh), the number of devices with energy, and the start of these days. None where fewer than 5 devices of a kind have energy';
