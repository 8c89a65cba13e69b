-- Rejected readings, newest first for people, oldest first for a replay: for duplicate keys, the first wins again.
-- Pages by number: p_after is the last one of the page before.

CREATE OR REPLACE FUNCTION api.list_rejected_readings(
    p_newest_first boolean,
    p_after bigint,
    p_limit integer,
    p_from timestamptz,
    p_until timestamptz,
    p_kind text,
    p_code text,
    p_source text,
    p_settled boolean,
    p_stored boolean DEFAULT NULL
)
RETURNS TABLE (
    rejected_id bigint, received_at timestamptz, kind text, code text, detail text, payload text, source text,
    is_stored boolean, replayed_at timestamptz, replay_outcome text
)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
    SELECT
        r.rejected_id, r.received_at, r.kind, r.code, r.detail, r.payload, r.source,
        r.is_stored, r.replayed_at, r.replay_outcome
    FROM telemetry.rejected_reading AS r
    WHERE
        (p_from IS NULL OR r.received_at >= p_from)
        AND (p_until IS NULL OR r.received_at < p_until)
        AND (p_kind IS NULL OR r.kind = p_kind)
        AND (p_code IS NULL OR r.code = p_code)
        AND (p_source IS NULL OR r.source = p_source)
        AND (p_settled IS NULL OR coalesce(r.replay_outcome IN ('stored', 'duplicate'), FALSE) = p_settled)
        AND (p_stored IS NULL OR r.is_stored = p_stored)
        AND (p_after IS NULL OR CASE WHEN p_newest_first THEN r.rejected_id < p_after ELSE r.rejected_id > p_after END)
    ORDER BY CASE WHEN p_newest_first THEN -r.rejected_id ELSE r.rejected_id END
    LIMIT p_limit;
$$;

REVOKE EXECUTE ON FUNCTION api.list_rejected_readings (
    boolean, bigint, integer, timestamptz, timestamptz, text, text, text, boolean, boolean
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.list_rejected_readings (
    boolean, bigint, integer, timestamptz, timestamptz, text, text, text, boolean, boolean
) TO energy_service;

COMMENT ON FUNCTION api.list_rejected_readings (
    boolean, bigint, integer, timestamptz, timestamptz, text, text, text, boolean, boolean
) IS
'Up to p_limit rejected readings after number p_after (newest or oldest first), of those received from p_from (included) to p_until (excluded), of a kind, code and source, settled by a replay or not, and stored (with an ignored measure) or not; NULL does not filter';
