-- Without a reading before, an exchange is a baseline. It must then be as young as a reading may be: of an older one, later
-- readings may have been dropped.

CREATE OR REPLACE FUNCTION telemetry.register_exchanges(
    p_kind text, p_device_id text, p_since timestamptz
) RETURNS telemetry.register_exchange []
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT array_agg(x ORDER BY x.exchanged_at)
    FROM telemetry.register_exchange AS x
    WHERE
        x.kind = p_kind AND x.device_id = p_device_id
        AND x.exchanged_at >= coalesce(p_since, now() - telemetry.accepted_age(p_kind));
$$;

REVOKE EXECUTE ON FUNCTION telemetry.register_exchanges (text, text, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.register_exchanges (text, text, timestamptz) IS
'The exchanges of a device''s register from p_since on, in order of time, for telemetry.register_step; NULL for none. Without p_since, those that are not older than a reading may be';
