-- The first acknowledgement stays: a repeated one changes nothing, so a client may retry.

CREATE OR REPLACE FUNCTION api.acknowledge_alert(p_id bigint, p_by text, p_note text DEFAULT NULL) RETURNS telemetry.alert
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM api.await_standbys();
    PERFORM
        telemetry.require_value('by', coalesce(length(p_by) BETWEEN 1 AND 256, FALSE), 'from 1 to 256 characters'),
        telemetry.require_value('note', length(p_note) <= 1024, 'at most 1024 characters');
    UPDATE telemetry.alert AS a
    SET acknowledged_at = now(), acknowledged_by = p_by, note = p_note
    WHERE a.id = p_id AND a.acknowledged_at IS NULL;
    RETURN api.get_alert(p_id);
END;
$$;

REVOKE EXECUTE ON FUNCTION api.acknowledge_alert (bigint, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.acknowledge_alert (bigint, text, text) TO energy_service, energy_dba;

COMMENT ON FUNCTION api.acknowledge_alert (bigint, text, text) IS
'Records on an alert, open or closed, who has seen it and what they say to it, and returns it. The first acknowledgement stays; repeating is safe. Raises IE008 for an unknown number, IE004 for an invalid value';
