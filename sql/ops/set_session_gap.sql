-- All sessions are computed anew by the refresh of the aggregates, from the newest on, and until then when they are read.

CREATE OR REPLACE FUNCTION ops.set_session_gap(p_session_gap interval) RETURNS interval
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM api.await_standbys();
    IF NOT coalesce(p_session_gap BETWEEN INTERVAL '1 minute' AND INTERVAL '6 hours', FALSE) THEN
        RAISE EXCEPTION 'session_gap must be from 1 minute to 6 hours, not %', coalesce(p_session_gap::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE telemetry.fleet SET session_gap = p_session_gap WHERE session_gap <> p_session_gap;
    IF found THEN
        PERFORM ops.recompute_sessions();
    END IF;
    RETURN p_session_gap;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_session_gap (interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_session_gap (interval) TO energy_dba;

COMMENT ON FUNCTION ops.set_session_gap (interval) IS
'Sets the longest time without delivered energy within a charging session, and returns it. It takes effect at once, for all sessions whose history is not dropped. Raises invalid_parameter_value outside 1 minute to 6 hours';
