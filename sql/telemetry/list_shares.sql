-- A share is large enough for what each call costs, and small enough to be computed for the sake of one vehicle.

CREATE OR REPLACE FUNCTION telemetry.list_shares() RETURNS TABLE (share integer, shares integer)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 16
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT s.share, n.shares
    FROM (
        SELECT least(16, greatest(1, count(*) / 250))::integer AS shares FROM telemetry.vehicle_current_status
    ) AS n
    CROSS JOIN LATERAL generate_series(0, n.shares - 1) AS s (share);
$$;

REVOKE EXECUTE ON FUNCTION telemetry.list_shares () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.list_shares () TO energy_bi;

COMMENT ON FUNCTION telemetry.list_shares () IS
'The shares of the fleet in which the views of BI compute stale sessions, numbered from 0, with their number: one for each 250 vehicles, 16 at most';
