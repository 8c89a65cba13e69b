-- Settings that would lose data, or that contradict each other. Intervals are compared as times ago, since a month has
-- no length of its own.

CREATE OR REPLACE FUNCTION ops.policy_faults() RETURNS TABLE (object text, setting text, reason text, remedy text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, ops, pg_temp
SET standard_conforming_strings = on
AS $$
    WITH policy AS (
        SELECT
            p.*,
            p.object LIKE 'bi.%' AS is_aggregate,
            p.object LIKE 'telemetry.%history' AS is_history,
            p.object LIKE 'bi.%\_15min' AS is_lowest
        FROM ops.policy AS p
    ),
    fault (object, setting, is_fault, reason, remedy) AS (
        SELECT p.object, c.setting, c.is_fault, c.reason, c.remedy
        FROM policy AS p
        LEFT JOIN policy AS h
            ON p.is_lowest AND h.object = 'telemetry.' || substring(p.object FROM '[.](meter|vehicle)_') || '_telemetry_history'
        CROSS JOIN LATERAL (
            VALUES
            (
                'chunk_interval',
                p.chunk_interval < INTERVAL '15 minutes' OR mod(extract(EPOCH FROM p.chunk_interval), 900) <> 0,
                format('%s is not a multiple of 15 minutes, which is what aggregates are made of', p.chunk_interval),
                format('set chunk_interval of %s to 1 day, or to a number of whole hours', p.object)
            ),
            (
                'chunk_interval', (p.chunk_interval IS NULL) <> (p.object = 'telemetry.alert'),
                'telemetry.alert has no chunks, and every other object has',
                format('set chunk_interval of %s to %s', p.object, CASE p.object WHEN 'telemetry.alert' THEN 'NULL' ELSE '1 day' END)
            ),
            (
                'compress_after', now() - p.compress_after > now() - p.refresh_after,
                format(
                    '%s is less than refresh_after %s: every refresh would write into the columnstore',
                    p.compress_after, p.refresh_after
                ),
                format('set compress_after of %s to 1 day or more', p.object)
            ),
            (
                'compress_after', p.is_history AND p.compress_after < INTERVAL '1 hour',
                format('%s is less than 1 hour: readings that are a little late would go into the columnstore', p.compress_after),
                format('set compress_after of %s to 1 hour or more', p.object)
            ),
            (
                'compress_after', p.compress_after IS NOT NULL AND NOT p.is_history AND NOT p.is_aggregate,
                'only histories and aggregates have a columnstore',
                format('set compress_after of %s to NULL', p.object)
            ),
            (
                'drop_after', p.drop_after <= INTERVAL '0',
                format('%s is not more than 0', p.drop_after),
                format('set drop_after of %s to NULL to keep all', p.object)
            ),
            (
                'drop_after', now() - p.drop_after > now() - p.compress_after,
                format('%s is less than compress_after %s: nothing would ever be compressed', p.drop_after, p.compress_after),
                format('set compress_after of %s to %s or less, or to NULL, in the same transaction', p.object, p.drop_after)
            ),
            (
                'drop_after', now() - p.drop_after > now() - p.accept_for,
                format(
                    '%s is less than accept_for %s: readings would be acknowledged, and dropped at once',
                    p.drop_after, p.accept_for
                ),
                format('set accept_for of %s to %s or less in the same transaction', p.object, p.drop_after)
            ),
            (
                'drop_after', now() - p.drop_after > now() - h.accept_for,
                format(
                    '%s is less than accept_for %s of %s: late readings would be accepted for quarter hours that are gone',
                    p.drop_after, h.accept_for, h.object
                ),
                format('set accept_for of %s to %s or less in the same transaction', h.object, p.drop_after)
            ),
            (
                'accept_for', p.is_history AND (p.accept_for IS NULL OR p.accept_for < INTERVAL '1 hour'),
                format('%s: a history accepts readings of at least the last hour', coalesce(p.accept_for::text, 'never')),
                format('set accept_for of %s to 1 hour or more', p.object)
            ),
            (
                'accept_for', p.accept_for IS NOT NULL AND NOT p.is_history, 'only the histories accept readings',
                format('set accept_for of %s to NULL', p.object)
            ),
            (
                'refresh_after',
                p.is_aggregate AND coalesce(p.refresh_after NOT BETWEEN INTERVAL '0' AND INTERVAL '1 day', TRUE),
                format(
                    '%s: a bucket of an aggregate is materialized from 0 to 1 day after its end',
                    coalesce(p.refresh_after::text, 'never')
                ),
                format('set refresh_after of %s to 5 minutes', p.object)
            ),
            (
                'refresh_after', p.refresh_after IS NOT NULL AND NOT p.is_aggregate, 'only aggregates are refreshed',
                format('set refresh_after of %s to NULL', p.object)
            ),
            (
                'refresh_every',
                p.is_lowest AND coalesce(p.refresh_every NOT BETWEEN INTERVAL '10 seconds' AND INTERVAL '1 hour', TRUE),
                format(
                    '%s: the aggregates of a kind are refreshed every 10 seconds to 1 hour', coalesce(p.refresh_every::text, 'never')
                ),
                format('set refresh_every of %s to 3 minutes', p.object)
            ),
            (
                'refresh_every', p.refresh_every IS NOT NULL AND NOT p.is_lowest,
                'hours and days are refreshed with the quarter hours of their kind',
                format('set refresh_every of %s to NULL', p.object)
            ),
            (
                'archive', p.archive AND NOT p.is_history, 'only the histories are archived',
                format('set archive of %s to FALSE', p.object)
            ),
            (
                'archive', p.archive AND p.is_history AND p.drop_after IS NULL, 'nothing is archived that is never dropped',
                format('set drop_after of %s in the same transaction', p.object)
            ),
            (
                'archive', p.archive AND p.is_history AND (
                    p.chunk_interval > INTERVAL '1 day'
                    OR mod(86400, nullif(extract(EPOCH FROM p.chunk_interval), 0)) <> 0
                ),
                format('chunk_interval %s is not a day or an even part of it, by which archives are filed', p.chunk_interval),
                format('set chunk_interval of %s to 1 day in the same transaction', p.object)
            )
        ) AS c (setting, is_fault, reason, remedy)
    )
    SELECT f.object, f.setting, f.reason, f.remedy FROM fault AS f WHERE f.is_fault;
$$;

REVOKE EXECUTE ON FUNCTION ops.policy_faults () FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ops.policy_faults () TO energy_dba;

COMMENT ON FUNCTION ops.policy_faults () IS 'The refused settings of ops.policy: the object, the setting, the reason, and the remedy';
