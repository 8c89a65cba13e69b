-- A removed price leaves no trace in figures: cost and CO2 are joined when they are read.

CREATE OR REPLACE FUNCTION ops.remove_price(p_price_id bigint, p_from timestamptz DEFAULT NULL) RETURNS ops.price
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, telemetry, pg_temp
AS $$
DECLARE
    v_row ops.price;
BEGIN
    PERFORM api.await_standbys();
    SELECT p.* INTO v_row FROM ops.price AS p WHERE p.price_id = p_price_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'price % is unknown', coalesce(p_price_id::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'the column price_id of ops.price numbers them';
    END IF;
    IF p_from IS NULL THEN
        DELETE FROM ops.price AS p WHERE p.price_id = p_price_id;
    ELSE
        UPDATE ops.price AS p SET during = ops.resolve_validity(
            p.zone, lower(p.during), least(p_from, upper(p.during)), NULL, p.days, p.local_from, p.local_until
        )
        WHERE p.price_id = p_price_id
        RETURNING p.* INTO v_row;
    END IF;
    RETURN v_row;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.remove_price (bigint, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.remove_price (bigint, timestamptz) TO energy_dba;

COMMENT ON FUNCTION ops.remove_price (bigint, timestamptz) IS
'Removes a row of ops.price; with p_from, only its times from then on: it ends there. Returns the row as it was removed, or as it is now. Raises invalid_parameter_value for an unknown number, and for a p_from that is not a whole quarter hour after its start';
