-- A parked car is no fault: the DBA sets the standby power of its charger.

CREATE OR REPLACE FUNCTION ops.set_standby_kw(p_standby_kw double precision) RETURNS double precision
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM api.await_standbys();
    IF NOT coalesce(p_standby_kw BETWEEN 0 AND 1000, FALSE) THEN
        RAISE EXCEPTION 'standby_kw must be from 0 to 1000 kW, not %', coalesce(p_standby_kw::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE telemetry.fleet SET standby_kw = p_standby_kw;
    RETURN p_standby_kw;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_standby_kw (double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_standby_kw (double precision) TO energy_dba;

COMMENT ON FUNCTION ops.set_standby_kw (double precision) IS
'Sets the standby threshold (kW), and returns it: a vehicle to which nothing was delivered is idle, not low, if its meter drew no more than that on average. It takes effect at once, for all times. Raises invalid_parameter_value outside 0 to 1000';
