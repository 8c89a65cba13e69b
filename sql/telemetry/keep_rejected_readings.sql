-- The only way into telemetry.rejected_reading. Each sender has its own allowance, so that one broken device fills
-- neither the disk nor the allowance of others. Senders are counted in the order of their names, after all other locks
-- of a transaction: concurrent batches cannot deadlock.

CREATE OR REPLACE FUNCTION telemetry.keep_rejected_readings(p_rejected api.rejected_reading []) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    WITH rejected AS (
        SELECT
            r.kind, r.code, r.detail, r.payload, r.source,
            coalesce(left(r.source, 256), '') AS sender,
            row_number() OVER (PARTITION BY coalesce(left(r.source, 256), '') ORDER BY r.position) AS rank
        FROM unnest(p_rejected) WITH ORDINALITY AS r (kind, code, detail, payload, source, position)
    ),
    counted AS (
        INSERT INTO telemetry.rejected_source AS s (source, day, rejected_on_day, rejected, not_kept, last_rejected_at)
        SELECT
            sender, (now() AT TIME ZONE 'UTC')::date, count(*), count(*),
            greatest(0, count(*) - telemetry.rejected_readings_kept_a_day()), now()
        FROM rejected
        GROUP BY sender
        ORDER BY sender
        ON CONFLICT (source) DO UPDATE SET
            day = greatest(s.day, excluded.day),
            rejected_on_day = CASE WHEN s.day < excluded.day THEN 0 ELSE s.rejected_on_day END + excluded.rejected_on_day,
            rejected = s.rejected + excluded.rejected,
            not_kept = s.not_kept + least(excluded.rejected_on_day, greatest(
                0,
                CASE WHEN s.day < excluded.day THEN 0 ELSE s.rejected_on_day END + excluded.rejected_on_day
                - telemetry.rejected_readings_kept_a_day()
            )),
            last_rejected_at = greatest(s.last_rejected_at, excluded.last_rejected_at)
        RETURNING s.source AS sender, s.rejected_on_day
    )
    INSERT INTO telemetry.rejected_reading (kind, code, detail, payload, source)
    SELECT
        CASE WHEN r.kind IN ('meter', 'vehicle') THEN r.kind ELSE 'unknown' END,
        coalesce(r.code, 'unknown'),
        coalesce(left(r.detail, 1024), ''),
        coalesce(left(r.payload, 8192), ''),
        r.source
    FROM (SELECT rejected.*, count(*) OVER (PARTITION BY sender) AS of_sender FROM rejected) AS r
    JOIN counted AS c USING (sender)
    WHERE c.rejected_on_day - r.of_sender + r.rank <= telemetry.rejected_readings_kept_a_day();
$$;

REVOKE EXECUTE ON FUNCTION telemetry.keep_rejected_readings (api.rejected_reading []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.keep_rejected_readings (api.rejected_reading []) IS
'Keeps rejected readings in telemetry.rejected_reading (payload cut at 8,192 characters, detail at 1,024), at most telemetry.rejected_readings_kept_a_day of each sender, and counts them in telemetry.rejected_source';
