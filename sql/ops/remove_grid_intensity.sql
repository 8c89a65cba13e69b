-- A removed grid intensity leaves no trace in figures: cost and CO2 are joined when they are read.

CREATE OR REPLACE FUNCTION ops.remove_grid_intensity(p_grid_intensity_id bigint, p_from timestamptz DEFAULT NULL) RETURNS ops.grid_intensity
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
DECLARE
    v_row ops.grid_intensity;
BEGIN
    PERFORM api.await_standbys();
    SELECT p.* INTO v_row FROM ops.grid_intensity AS p WHERE p.grid_intensity_id = p_grid_intensity_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'grid intensity % is unknown', coalesce(p_grid_intensity_id::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'the column grid_intensity_id of ops.grid_intensity numbers them';
    END IF;
    IF p_from IS NULL THEN
        DELETE FROM ops.grid_intensity AS p WHERE p.grid_intensity_id = p_grid_intensity_id;
    ELSE
        UPDATE ops.grid_intensity AS p SET during = ops.resolve_validity(
            p.zone, lower(p.during), least(p_from, upper(p.during)), NULL, p.days, p.local_from, p.local_until
        )
        WHERE p.grid_intensity_id = p_grid_intensity_id
        RETURNING p.* INTO v_row;
    END IF;
    RETURN v_row;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.remove_grid_intensity (bigint, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.remove_grid_intensity (bigint, timestamptz) TO energy_dba;

COMMENT ON FUNCTION ops.remove_grid_intensity (bigint, timestamptz) IS
'Removes a row of ops.grid_intensity; with p_from, only its times from then on: it ends there. Returns the row as it was removed, or as it is now. Raises invalid_parameter_value for an unknown number, and for a p_from that is not a whole quarter hour after its start';
