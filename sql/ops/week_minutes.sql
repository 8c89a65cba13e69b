-- A weekly tariff as a set of minutes, so that the constraints of ops.price refuse overlaps of tariffs too. A span over
-- midnight goes on in the next day, and from Sunday in Monday.

CREATE OR REPLACE FUNCTION ops.week_minutes(p_days text, p_local_from time, p_local_until time) RETURNS int4multirange
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT range_agg(
        int4multirange(int4range(s.first, s.first + l.length), int4range(s.first - 10080, s.first + l.length - 10080))
        * int4multirange(int4range(0, 10080))
    )
    FROM (
        SELECT
            (extract(EPOCH FROM p_local_from) / 60)::integer AS first,
            (extract(EPOCH FROM p_local_until - p_local_from) / 60)::integer AS length
    ) AS t
    CROSS JOIN LATERAL (
        SELECT CASE WHEN t.length > 0 THEN t.length ELSE t.length + 1440 END AS length
    ) AS l
    CROSS JOIN string_to_table(p_days, NULL) AS d (day)
    CROSS JOIN LATERAL (SELECT (d.day::integer - 1) * 1440 + t.first AS first) AS s;
$$;

REVOKE EXECUTE ON FUNCTION ops.week_minutes (text, time, time) FROM PUBLIC;

COMMENT ON FUNCTION ops.week_minutes (text, time, time) IS
'The minutes of the local week (0 for Monday 00:00, to 10080) from p_local_from to p_local_until on each of p_days (digits, 1 for Monday to 7); until at or before from is on the day after';
