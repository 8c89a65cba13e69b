-- Days are refreshed by a procedure of our own, as TimescaleDB's policy can miss one (docs/adr/0005).

CREATE OR REPLACE FUNCTION ops.add_refresh_job(
    p_aggregate regclass, p_is_daily boolean, p_start interval, p_end interval, p_every interval, p_first timestamptz
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, ops, pg_temp
AS $$
BEGIN
    IF p_is_daily THEN
        PERFORM public.add_job(
            'ops.refresh_daily', p_every, initial_start => p_first,
            config => jsonb_build_object('object', p_aggregate, 'start_offset', p_start, 'end_offset', p_end)
        );
    ELSE
        PERFORM public.add_continuous_aggregate_policy(
            p_aggregate, start_offset => p_start, end_offset => p_end, schedule_interval => p_every, initial_start => p_first
        );
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION ops.add_refresh_job (regclass, boolean, interval, interval, interval, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION ops.add_refresh_job (regclass, boolean, interval, interval, interval, timestamptz) IS
'Has an aggregate refreshed every p_every, first at p_first, from p_start to p_end ago';
