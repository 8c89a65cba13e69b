-- Zones are made by name, so that a typing error in a price is refused.

CREATE OR REPLACE FUNCTION ops.set_price_zone(p_zone text, p_time_zone text DEFAULT NULL) RETURNS ops.price_zone
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
DECLARE
    v_row ops.price_zone;
BEGIN
    PERFORM api.await_standbys();
    IF NOT coalesce(p_zone ~ '^[!-~]{1,64}$', FALSE) THEN
        RAISE EXCEPTION 'zone must have 1 to 64 characters of ASCII and no blanks, not %', coalesce(p_zone, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM now() AT TIME ZONE p_time_zone; -- raises for an unknown zone
    INSERT INTO ops.price_zone (zone, time_zone) VALUES (p_zone, p_time_zone)
    ON CONFLICT (zone) DO UPDATE SET time_zone = excluded.time_zone
    RETURNING * INTO v_row;
    RETURN v_row;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_price_zone (text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_price_zone (text, text) TO energy_dba;

COMMENT ON FUNCTION ops.set_price_zone (text, text) IS
'Makes a price zone, or changes the time zone (IANA name; NULL for the fleet''s) of its weekly tariffs, and returns it. Raises invalid_parameter_value for a name that is not allowed, and for an unknown time zone';
