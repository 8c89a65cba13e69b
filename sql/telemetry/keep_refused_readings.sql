-- The one way into telemetry.rejected_reading. Each sender has its own allowance, so that one broken device fills neither
-- the disk nor the place of the others. Senders are counted in the order of their names, after everything else a
-- transaction locks: concurrent batches cannot deadlock.

CREATE OR REPLACE FUNCTION telemetry.keep_refused_readings(p_refused api.refused_reading []) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    WITH refused AS (
        SELECT
            r.stream, r.code, r.detail, r.payload, r.source,
            coalesce(left(r.source, 256), '') AS sender,
            row_number() OVER (PARTITION BY coalesce(left(r.source, 256), '') ORDER BY r.position) AS rank
        FROM unnest(p_refused) WITH ORDINALITY AS r (stream, code, detail, payload, source, position)
    ),
    counted AS (
        INSERT INTO telemetry.refused_source AS s (source, day, refused_on_day, refused, not_kept, last_refused_at)
        SELECT
            sender, (now() AT TIME ZONE 'UTC')::date, count(*), count(*),
            greatest(0, count(*) - telemetry.refused_readings_kept_a_day()), now()
        FROM refused
        GROUP BY sender
        ORDER BY sender
        ON CONFLICT (source) DO UPDATE SET
            day = greatest(s.day, excluded.day),
            refused_on_day = CASE WHEN s.day < excluded.day THEN 0 ELSE s.refused_on_day END + excluded.refused_on_day,
            refused = s.refused + excluded.refused,
            not_kept = s.not_kept + least(excluded.refused_on_day, greatest(
                0,
                CASE WHEN s.day < excluded.day THEN 0 ELSE s.refused_on_day END + excluded.refused_on_day
                - telemetry.refused_readings_kept_a_day()
            )),
            last_refused_at = greatest(s.last_refused_at, excluded.last_refused_at)
        RETURNING s.source AS sender, s.refused_on_day
    )
    INSERT INTO telemetry.rejected_reading (stream, code, detail, payload, source)
    SELECT
        CASE WHEN r.stream IN ('meter', 'vehicle') THEN r.stream ELSE 'unknown' END,
        coalesce(r.code, 'unknown'),
        coalesce(left(r.detail, 1024), ''),
        coalesce(left(r.payload, 8192), ''),
        r.source
    FROM (SELECT refused.*, count(*) OVER (PARTITION BY sender) AS of_sender FROM refused) AS r
    JOIN counted AS c USING (sender)
    WHERE c.refused_on_day - r.of_sender + r.rank <= telemetry.refused_readings_kept_a_day();
$$;

REVOKE EXECUTE ON FUNCTION telemetry.keep_refused_readings (api.refused_reading []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.keep_refused_readings (api.refused_reading []) IS
'Keeps refused readings in telemetry.rejected_reading (payload cut at 8,192 characters, detail at 1,024), at most telemetry.refused_readings_kept_a_day of each sender, and counts them in telemetry.refused_source';
