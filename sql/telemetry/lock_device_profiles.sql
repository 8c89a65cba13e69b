-- A register's energies follow from one another, so the readings of such a device are stored one transaction after the
-- other. The lock comes before any other of the transaction, in the order of the ids: no deadlock.

CREATE OR REPLACE FUNCTION telemetry.lock_device_profiles(p_kind text, p_device_ids text []) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM
    FROM telemetry.device_profile AS p
    WHERE p.kind = p_kind AND p.device_id = ANY (p_device_ids) AND p.is_checked
    ORDER BY p.device_id
    FOR NO KEY UPDATE;
    RETURN found;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.lock_device_profiles (text, text []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.lock_device_profiles (text, text []) IS
'Locks the profiles of the devices whose readings need more than the plain write path; true if there are any';
