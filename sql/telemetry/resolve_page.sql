-- A page continues after a time rather than after a number of rows, so a new reading moves no other. A window is
-- (start, end], and so is its rest after p_after; in the time of the histories that is [p_after, end).

CREATE OR REPLACE FUNCTION telemetry.resolve_page(
    p_kind text,
    p_device_id text,
    p_start timestamptz,
    p_end timestamptz,
    p_hours double precision,
    p_after timestamptz,
    OUT page_start timestamptz,
    OUT page_end timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    PERFORM telemetry.require_device(p_kind, p_device_id);
    SELECT greatest(w.window_start, p_after), w.window_end
    INTO page_start, page_end
    FROM telemetry.resolve_window(p_start, p_end, p_hours) AS w;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.resolve_page (
    text, text, timestamptz, timestamptz, double precision, timestamptz
) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.resolve_page (
    text, text, timestamptz, timestamptz, double precision, timestamptz
) IS
'The rest after p_after (NULL for all) of the window of telemetry.resolve_window, in counted time, for a device of a kind (meter or vehicle). Raises as that and as telemetry.require_device';
