-- Makes jobs and dimensions follow ops.policy, and leaves unchanged ones alone. A change of age or schedule replaces
-- the job, and its history begins anew. Readings queue behind a wait for a lock, so it gives up after a moment.

CREATE OR REPLACE FUNCTION ops.apply_policies(p_dry_run boolean DEFAULT FALSE)
RETURNS TABLE (object text, setting text, was text, becomes text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, ops, pg_temp
SET client_min_messages = warning
SET lock_timeout = '1200ms'
AS $$
#variable_conflict use_column
DECLARE
    v_changed record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ops.apply_policies', 0));
    PERFORM ops.require_policies();
    RETURN QUERY SELECT c.* FROM ops.pending_changes() AS c;
    IF NOT p_dry_run THEN
        PERFORM api.await_standbys();
        FOR v_changed IN
            SELECT p AS policy, c.settings
            FROM ops.policy AS p
            JOIN (
                SELECT i.object, array_agg(i.setting) AS settings FROM ops.pending_changes() AS i GROUP BY i.object
            ) AS c ON c.object = p.object
            ORDER BY p.object
        LOOP
            PERFORM ops.apply_policy(v_changed.policy, v_changed.settings);
        END LOOP;
        PERFORM ops.guard_chunks();
        IF NOT EXISTS (SELECT FROM ops.policy_job AS j WHERE j.duty = 'watch') THEN
            PERFORM public.add_job(
                'ops.end_bi_sessions', INTERVAL '1 minute',
                config => jsonb_build_object('object', 'bi'), initial_start => now() + INTERVAL '5 minutes'
            );
        END IF;
        IF NOT EXISTS (SELECT FROM ops.policy_job AS j WHERE j.duty = 'evaluate') THEN
            PERFORM public.add_job(
                'ops.run_alert_evaluation', INTERVAL '1 minute',
                config => jsonb_build_object('object', 'telemetry.alert'), initial_start => now() + INTERVAL '1 minute'
            );
        END IF;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.apply_policies (boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.apply_policies (boolean) TO energy_dba;

COMMENT ON FUNCTION ops.apply_policies (boolean) IS
'Makes the database follow ops.policy, and returns the changes (none if it follows already); with p_dry_run it only returns them. Raises invalid_parameter_value, and changes nothing, if a setting would lose data, and lock_not_available if another session holds a table for more than 1.2 s';
