-- The only way into telemetry.rejected_reading. Each sender has its own allowance, so that one broken device fills
-- neither the disk nor the allowance of others. Ignored measures have another one: a broken sensor leaves that of rejected
-- readings alone. Senders are counted in the order of their names, after all other locks of a transaction: concurrent
-- batches cannot deadlock.

CREATE OR REPLACE FUNCTION telemetry.keep_rejected_readings(
    p_rejected api.rejected_reading [], p_are_stored boolean []
) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    WITH rejected AS (
        SELECT
            r.kind, r.code, r.detail, r.payload, r.source,
            s.sender, s.is_stored,
            row_number() OVER (PARTITION BY s.sender, s.is_stored ORDER BY r.position) AS rank
        FROM unnest(p_rejected, p_are_stored) WITH ORDINALITY
            AS r (kind, code, detail, payload, source, is_stored, position)
        CROSS JOIN LATERAL (
            SELECT coalesce(left(r.source, 256), '') AS sender, coalesce(r.is_stored, FALSE) AS is_stored
        ) AS s
    ),
    counted AS (
        INSERT INTO telemetry.rejected_source AS s
            (source, day, rejected_on_day, rejected, ignored_on_day, ignored, not_kept, last_rejected_at)
        SELECT
            n.sender, (now() AT TIME ZONE 'UTC')::date, n.rejected, n.rejected, n.ignored, n.ignored,
            greatest(0, n.rejected - telemetry.rejected_readings_kept_a_day())
            + greatest(0, n.ignored - telemetry.rejected_readings_kept_a_day()),
            now()
        FROM (
            SELECT
                r.sender, count(*) FILTER (WHERE NOT r.is_stored) AS rejected,
                count(*) FILTER (WHERE r.is_stored) AS ignored
            FROM rejected AS r
            GROUP BY r.sender
        ) AS n
        ORDER BY n.sender
        ON CONFLICT (source) DO UPDATE SET
            day = greatest(s.day, excluded.day),
            rejected_on_day = CASE WHEN s.day < excluded.day THEN 0 ELSE s.rejected_on_day END + excluded.rejected_on_day,
            rejected = s.rejected + excluded.rejected,
            ignored_on_day = CASE WHEN s.day < excluded.day THEN 0 ELSE s.ignored_on_day END + excluded.ignored_on_day,
            ignored = s.ignored + excluded.ignored,
            not_kept = s.not_kept
            + least(excluded.rejected_on_day, greatest(
                0,
                CASE WHEN s.day < excluded.day THEN 0 ELSE s.rejected_on_day END + excluded.rejected_on_day
                - telemetry.rejected_readings_kept_a_day()
            ))
            + least(excluded.ignored_on_day, greatest(
                0,
                CASE WHEN s.day < excluded.day THEN 0 ELSE s.ignored_on_day END + excluded.ignored_on_day
                - telemetry.rejected_readings_kept_a_day()
            )),
            last_rejected_at = greatest(s.last_rejected_at, excluded.last_rejected_at)
        RETURNING s.source AS sender, s.rejected_on_day, s.ignored_on_day
    )
    INSERT INTO telemetry.rejected_reading (kind, code, detail, payload, source, is_stored)
    SELECT
        CASE WHEN r.kind IN ('meter', 'vehicle') THEN r.kind ELSE 'unknown' END,
        coalesce(r.code, 'unknown'),
        coalesce(left(r.detail, 1024), ''),
        coalesce(left(r.payload, 8192), ''),
        r.source,
        r.is_stored
    FROM (SELECT rejected.*, count(*) OVER (PARTITION BY sender, is_stored) AS of_sender FROM rejected) AS r
    JOIN counted AS c USING (sender)
    WHERE
        CASE WHEN r.is_stored THEN c.ignored_on_day ELSE c.rejected_on_day END - r.of_sender + r.rank
        <= telemetry.rejected_readings_kept_a_day();
$$;

REVOKE EXECUTE ON FUNCTION telemetry.keep_rejected_readings (api.rejected_reading [], boolean []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.keep_rejected_readings (api.rejected_reading [], boolean []) IS
'Keeps rejected readings, and stored ones with an ignored measure (p_are_stored, for each; NULL: none is), in telemetry.rejected_reading (payload cut at 8,192 characters, detail at 1,024), at most telemetry.rejected_readings_kept_a_day of either of each sender, and counts them in telemetry.rejected_source';
