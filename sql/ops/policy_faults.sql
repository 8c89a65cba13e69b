-- Settings that would lose data, or that work against each other. Intervals are compared as times ago, since a month has
-- no length of its own.

CREATE OR REPLACE FUNCTION ops.policy_faults() RETURNS TABLE (object text, setting text, reason text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
AS $$
    WITH policy AS (
        SELECT
            p.*,
            p.object LIKE 'bi.%' AS is_aggregate,
            p.object LIKE 'telemetry.%history' AS is_history,
            CASE split_part(p.object, '_', 2)
                WHEN '15min' THEN INTERVAL '15 minutes' WHEN 'hourly' THEN INTERVAL '1 hour' ELSE INTERVAL '1 day'
            END AS bucket,
            CASE
                WHEN p.object LIKE 'bi.%\_15min' THEN 'telemetry.' || stream.name || '_telemetry_history'
                WHEN p.object LIKE 'bi.%' THEN 'bi.' || stream.name || '_15min'
            END AS source
        FROM ops.policy AS p
        CROSS JOIN LATERAL (SELECT substring(p.object FROM '[.](meter|vehicle)_') AS name) AS stream
    ),
    fault (object, setting, is_fault, reason) AS (
        SELECT p.object, c.setting, c.is_fault, c.reason
        FROM policy AS p
        LEFT JOIN policy AS s ON s.object = p.source
        CROSS JOIN LATERAL (
            VALUES
            (
                'chunk_interval', p.chunk_interval < INTERVAL '15 minutes',
                format('%s is less than 15 minutes', p.chunk_interval)
            ),
            (
                'compress_after', now() - p.compress_after > now() - p.live_start,
                format(
                    '%s is less than live_start %s: the live tier would write into the columnstore',
                    p.compress_after, p.live_start
                )
            ),
            (
                'compress_after', p.is_history AND p.compress_after < INTERVAL '1 hour',
                format('%s is less than 1 hour: readings that are a little late would go into the columnstore', p.compress_after)
            ),
            (
                'compress_after', p.compress_after IS NOT NULL AND NOT p.is_history AND NOT p.is_aggregate,
                'only histories and aggregates have a columnstore'
            ),
            (
                'drop_after', p.drop_after <= INTERVAL '0',
                format('%s is not more than 0', p.drop_after)
            ),
            (
                'drop_after', now() - p.drop_after > now() - p.compress_after,
                format('%s is less than compress_after %s: nothing would ever be compressed', p.drop_after, p.compress_after)
            ),
            (
                'drop_after', now() - p.drop_after > now() - p.accept_for,
                format(
                    '%s is less than accept_for %s: readings would be acknowledged, and dropped at once',
                    p.drop_after, p.accept_for
                )
            ),
            (
                'accept_for', (p.is_history AND p.accept_for IS NULL) OR p.accept_for < INTERVAL '1 hour',
                'a history accepts readings of at least the last hour'
            ),
            (
                'live_start',
                p.is_aggregate AND (
                    num_nulls(p.live_start, p.live_end, p.live_every, p.late_start, p.late_every) > 0
                    OR least(p.live_end, p.live_every, p.late_every) <= INTERVAL '0'
                ),
                'an aggregate has both tiers, with intervals of more than 0'
            ),
            (
                'live_start', num_nonnulls(p.live_start, p.live_end, p.live_every, p.late_start, p.late_every) > 0
                AND NOT p.is_aggregate, 'only aggregates are refreshed'
            ),
            (
                'live_start', now() - p.live_start > now() - p.live_end - 2 * p.bucket,
                format('from %s to live_end %s are less than two buckets: the live tier would find nothing', p.live_start, p.live_end)
            ),
            (
                'late_start', now() - p.late_start > now() - p.live_start - 2 * p.bucket,
                format('from %s to live_start %s are less than two buckets: the late tier would find nothing', p.late_start, p.live_start)
            ),
            (
                'late_start', now() - p.late_start < now() - s.drop_after + s.chunk_interval,
                format(
                    '%s reaches what %s drops after %s: it would come out empty, and the aggregate lose it',
                    p.late_start, s.object, s.drop_after
                )
            ),
            ('accept_for', p.accept_for IS NOT NULL AND NOT p.is_history, 'only the histories accept readings'),
            ('archive', p.archive AND NOT p.is_history, 'only the histories are archived'),
            ('archive', p.archive AND p.drop_after IS NULL, 'nothing is archived that is never dropped: set drop_after'),
            (
                'archive', p.archive AND (
                    p.chunk_interval > INTERVAL '1 day'
                    OR mod(86400, nullif(extract(EPOCH FROM p.chunk_interval), 0)) <> 0
                ),
                format('chunk_interval %s is not a day or an even part of it, by which archives are filed', p.chunk_interval)
            )
        ) AS c (setting, is_fault, reason)
    )
    SELECT f.object, f.setting, f.reason FROM fault AS f WHERE f.is_fault;
$$;

REVOKE EXECUTE ON FUNCTION ops.policy_faults () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.policy_faults () TO energy_dba;

COMMENT ON FUNCTION ops.policy_faults () IS 'What ops.apply_policies refuses of ops.policy: the object, the setting, and why';
