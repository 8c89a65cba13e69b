-- Records the outcomes of a replay, in the same transaction as the replay, so that both commit together.

CREATE OR REPLACE FUNCTION api.settle_rejected_readings(
    p_rejected_ids bigint [], p_received_at timestamptz [], p_outcomes text []
)
RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    SELECT api.await_standbys();
    UPDATE telemetry.rejected_reading AS r
    SET replayed_at = now(), replay_outcome = s.outcome
    FROM unnest(p_rejected_ids, p_received_at, p_outcomes) AS s (rejected_id, received_at, outcome)
    WHERE r.rejected_id = s.rejected_id AND r.received_at = s.received_at;
$$;

REVOKE EXECUTE ON FUNCTION api.settle_rejected_readings (bigint [], timestamptz [], text []) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.settle_rejected_readings (bigint [], timestamptz [], text []) TO energy_service;

COMMENT ON FUNCTION api.settle_rejected_readings (bigint [], timestamptz [], text []) IS
'Records when rejected readings (number and received_at of each) were sent again, and the outcome of each: stored and duplicate settle it';
