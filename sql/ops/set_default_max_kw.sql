-- Wh sent as kWh, or a register as an interval, is a thousand times too much. A fleet knows its largest charger.

CREATE OR REPLACE FUNCTION ops.set_default_max_kw(p_kind text, p_max_kw double precision) RETURNS double precision
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM api.await_standbys();
    IF NOT coalesce(p_kind IN ('meter', 'vehicle'), FALSE) THEN
        RAISE EXCEPTION 'kind must be meter or vehicle, not %', coalesce(p_kind, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT (p_max_kw > 0 AND p_max_kw <= 1e6) THEN
        RAISE EXCEPTION 'max_kw must be more than 0 and at most 1e6 kW, or NULL, not %', p_max_kw
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    UPDATE telemetry.fleet SET
        meter_max_kw = CASE WHEN p_kind = 'meter' THEN p_max_kw ELSE meter_max_kw END,
        vehicle_max_kw = CASE WHEN p_kind = 'vehicle' THEN p_max_kw ELSE vehicle_max_kw END;
    RETURN p_max_kw;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.set_default_max_kw (text, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.set_default_max_kw (text, double precision) TO energy_dba;

COMMENT ON FUNCTION ops.set_default_max_kw (text, double precision) IS
'Sets maxKw (kW) of all devices of a kind (meter or vehicle) whose profile has none, and returns it; NULL for no limit, as at first. A reading of more than twice the energy that it allows is rejected. It takes effect at once, for readings that arrive from then on. Raises invalid_parameter_value for another kind, or outside 0 to 1e6';
