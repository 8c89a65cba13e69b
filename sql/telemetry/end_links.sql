-- Ends all links of a vehicle from a time on; the caller holds the lock of the table.

CREATE OR REPLACE FUNCTION telemetry.end_links(p_vehicle_id text, p_from timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_removed boolean;
BEGIN
    DELETE FROM telemetry.vehicle_meter_link AS l
    WHERE l.vehicle_id = p_vehicle_id AND lower(l.during) >= p_from;
    v_removed := found;

    UPDATE telemetry.vehicle_meter_link AS l
    SET during = tstzrange(lower(l.during), p_from)
    WHERE l.vehicle_id = p_vehicle_id AND l.during @> p_from;
    RETURN v_removed OR found;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.end_links (text, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.end_links (text, timestamptz) IS
'Ends the link of a vehicle at p_from and removes those that begin then or later; true if there were any';
