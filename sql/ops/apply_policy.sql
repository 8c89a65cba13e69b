-- Jobs are replaced rather than altered: their configuration is checked where they are made.

CREATE OR REPLACE FUNCTION ops.apply_policy(p_policy ops.policy, p_changed text []) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
DECLARE
    v_object CONSTANT regclass := p_policy.object::regclass;
    v_stream CONSTANT text := substring(p_policy.object FROM '[.](meter|vehicle)_');
    v_is_daily CONSTANT boolean := p_policy.object LIKE '%\_daily';
    v_midnight CONSTANT timestamptz := date_trunc('day', now(), 'UTC') + INTERVAL '1 day';
BEGIN
    PERFORM public.delete_job(j.job_id)
    FROM ops.policy_job AS j
    WHERE j.object = p_policy.object AND (
        (j.duty = 'compress' AND 'compress_after' = ANY (p_changed))
        OR (j.duty = 'drop' AND p_changed && ARRAY['drop_after', 'archive'])
        OR (j.duty IN ('live', 'late') AND p_changed && ARRAY[
            'live_start', 'live_end', 'live_every', 'late_start', 'late_every'
        ])
    );

    IF 'chunk_interval' = ANY (p_changed) THEN
        PERFORM public.set_chunk_time_interval(ops.policy_table(p_policy.object), p_policy.chunk_interval);
    END IF;

    IF 'compress_after' = ANY (p_changed) AND p_policy.compress_after IS NOT NULL THEN
        IF p_policy.object LIKE 'bi.%' THEN
            EXECUTE format(
                'ALTER MATERIALIZED VIEW %s SET (
                    timescaledb.enable_columnstore, timescaledb.segmentby = %L, timescaledb.orderby = %L
                )',
                v_object, v_stream || '_id', 'bucket DESC'
            );
        END IF;
        IF v_is_daily THEN
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
        IF p_policy.archive THEN
            PERFORM public.add_job(
                'ops.drop_archived_chunks', INTERVAL '1 hour',
                config => jsonb_build_object('object', p_policy.object, 'drop_after', p_policy.drop_after)
            );
        ELSE
            PERFORM public.add_retention_policy(v_object, drop_after => p_policy.drop_after);
        END IF;
    END IF;

    IF p_changed && ARRAY['live_start', 'live_end', 'live_every', 'late_start', 'late_every'] THEN
        -- at night quarter hours come first, then the hours and days that are made of them
        PERFORM ops.add_refresh_job(
            v_object, v_is_daily, p_policy.live_start, p_policy.live_end, p_policy.live_every,
            date_trunc('hour', now()) + INTERVAL '1 hour'
        ),
        ops.add_refresh_job(
            v_object, v_is_daily, p_policy.late_start, p_policy.live_start, p_policy.late_every,
            v_midnight + CASE split_part(p_policy.object, '_', 2)
                WHEN '15min' THEN INTERVAL '1 hour'
                WHEN 'hourly' THEN INTERVAL '2 hours'
                ELSE INTERVAL '3 hours'
            END
        );
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.apply_policy (ops.policy, text []) FROM PUBLIC;

COMMENT ON FUNCTION ops.apply_policy (ops.policy, text []) IS
'Makes the database follow one row of ops.policy in the settings that have changed';
