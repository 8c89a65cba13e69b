-- Jobs are replaced rather than altered: their configuration is checked at their creation.

CREATE OR REPLACE FUNCTION ops.apply_policy(p_policy ops.policy, p_changed text []) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_object CONSTANT regclass := p_policy.object::regclass;
    v_kind CONSTANT text := substring(p_policy.object FROM '[.](meter|vehicle)_');
BEGIN
    PERFORM public.delete_job(j.job_id)
    FROM ops.policy_job AS j
    WHERE j.object = p_policy.object AND (
        (j.duty = 'compress' AND 'compress_after' = ANY (p_changed))
        OR (j.duty = 'drop' AND p_changed && ARRAY['drop_after', 'archive'])
        OR (j.duty = 'refresh' AND 'refresh_every' = ANY (p_changed))
    );

    IF 'chunk_interval' = ANY (p_changed) THEN
        PERFORM public.set_chunk_time_interval(ops.policy_table(p_policy.object), p_policy.chunk_interval);
    END IF;

    IF 'compress_after' = ANY (p_changed) AND p_policy.compress_after IS NOT NULL THEN
        IF p_policy.object LIKE 'bi.%' THEN
            -- TimescaleDB makes a columnstore policy of an aggregate only beside a refresh policy of its own
            EXECUTE format(
                'ALTER MATERIALIZED VIEW %s SET (
                    timescaledb.enable_columnstore, timescaledb.segmentby = %L, timescaledb.orderby = %L
                )',
                v_object, v_kind || '_id', 'bucket DESC'
            );
            PERFORM public.add_job(
                'ops.compress_due_chunks', INTERVAL '12 hours',
                config => jsonb_build_object('object', p_policy.object, 'compress_after', p_policy.compress_after)
            );
        ELSE
            CALL public.add_columnstore_policy(
                v_object, after => p_policy.compress_after, schedule_interval => INTERVAL '12 hours'
            );
        END IF;
    END IF;

    IF p_changed && ARRAY['drop_after', 'archive'] AND p_policy.drop_after IS NOT NULL THEN
        PERFORM public.add_job(
            CASE p_policy.object WHEN 'telemetry.alert' THEN 'ops.drop_closed_alerts' ELSE 'ops.drop_due_chunks' END::regproc,
            CASE WHEN p_policy.archive THEN INTERVAL '1 hour' ELSE INTERVAL '1 day' END,
            config => jsonb_build_object(
                'object', p_policy.object, 'drop_after', p_policy.drop_after, 'archive', p_policy.archive
            )
        );
    END IF;

    IF 'refresh_every' = ANY (p_changed) AND p_policy.refresh_every IS NOT NULL THEN
        PERFORM public.add_job(
            'ops.refresh_aggregates', p_policy.refresh_every,
            config => jsonb_build_object('object', p_policy.object, 'kind', v_kind),
            -- the two kinds take turns
            initial_start => now() + p_policy.refresh_every * CASE v_kind WHEN 'meter' THEN 1 ELSE 1.5 END
        );
    END IF;

    IF p_changed && ARRAY['accept_for', 'refresh_after'] THEN
        INSERT INTO ops.applied_policy AS a (object, accept_for, refresh_after)
        VALUES (p_policy.object, p_policy.accept_for, p_policy.refresh_after)
        ON CONFLICT (object) DO UPDATE SET accept_for = excluded.accept_for, refresh_after = excluded.refresh_after;
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.apply_policy (ops.policy, text []) FROM PUBLIC;

COMMENT ON FUNCTION ops.apply_policy (ops.policy, text []) IS
'Makes the database follow one row of ops.policy in the settings that have changed';
