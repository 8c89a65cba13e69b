-- Charging sessions from the history alone. A reading's interval is (its start, its stamp]; those with delivered energy
-- make a session while no more than a gap lies between them. Distances are those of counted_at: every row converted costs. The AC side is that of the meters that feed the vehicle then.
-- It is summed by day, since the rest of a day is its standby energy. All vehicles in one statement, planned with the bounds of its
-- chunks as constants. enable_bitmapscan: the planner expects few rows, and would sort all of a reach for the last two.
-- enable_nestloop: of a fleet, it would look for each session among the meters of all vehicles.

CREATE OR REPLACE FUNCTION telemetry.compute_sessions(
    p_vehicle_ids text [], p_starts timestamptz [], p_ends timestamptz []
) RETURNS SETOF telemetry.charging_session
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
SET jit = off
SET enable_bitmapscan = off
SET enable_nestloop = on -- restored at the end
AS $$
DECLARE
    v_zone CONSTANT text := (SELECT f.time_zone FROM telemetry.fleet AS f);
    v_gap CONSTANT interval := (SELECT f.session_gap FROM telemetry.fleet AS f);
    v_reach CONSTANT interval := telemetry.session_reach();
    v_start CONSTANT timestamptz := (SELECT min(s.start) FROM unnest(p_starts) AS s (start));
    v_end CONSTANT timestamptz := (SELECT max(e.until) FROM unnest(p_ends) AS e (until));
BEGIN
    IF v_start IS NULL THEN
        RETURN;
    END IF;
    IF cardinality(p_vehicle_ids) > 100 THEN
        PERFORM set_config('enable_nestloop', 'off', TRUE);
    END IF;
    RETURN QUERY EXECUTE format(
        $query$
        WITH span AS (
            SELECT s.vehicle_id COLLATE "C" AS vehicle_id, s.span_start, s.span_end, s.span
            FROM unnest($1, $2, $3) WITH ORDINALITY AS s (vehicle_id, span_start, span_end, span)
        ),
        reading AS (
            SELECT
                s.span, s.vehicle_id, r.counted_at, r.kwh, r.soc, r.battery_temp,
                lag(r.counted_at) OVER w AS previous,
                lag(r.counted_at, 2) OVER w AS before_previous,
                lag(r.soc) OVER w AS soc_previous
            FROM span AS s
            CROSS JOIN LATERAL (
                SELECT h.counted_at, h.kwh_delivered_dc AS kwh, h.soc, h.battery_temp
                FROM telemetry.vehicle_telemetry_history AS h
                WHERE h.vehicle_id = s.vehicle_id AND h.counted_at >= s.span_start AND h.counted_at < s.span_end
                    AND h.counted_at >= %1$L AND h.counted_at < %2$L
                UNION ALL
                ( -- only for the intervals of the first two
                    SELECT h.counted_at, 0, h.soc, NULL
                    FROM telemetry.vehicle_telemetry_history AS h
                    WHERE h.vehicle_id = s.vehicle_id AND h.counted_at < s.span_start AND h.counted_at >= s.span_start - 2 * $4
                        AND h.counted_at >= %3$L AND h.counted_at < %2$L
                    ORDER BY h.counted_at DESC
                    LIMIT 2
                )
            ) AS r
            WINDOW w AS (PARTITION BY s.span ORDER BY r.counted_at)
        ),
        timed AS (
            SELECT
                r.*,
                telemetry.interval_start(r.counted_at, r.previous, r.before_previous) AS interval_start,
                max(CASE WHEN r.kwh > 0 THEN r.counted_at END) OVER (
                    PARTITION BY r.span ORDER BY r.counted_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) AS charged_until
            FROM reading AS r
        ),
        numbered AS (
            SELECT
                t.*,
                count(*) FILTER (WHERE t.is_first) OVER (PARTITION BY t.span ORDER BY t.counted_at) AS session
            FROM (
                SELECT i.*, i.kwh > 0 AND (i.interval_start - i.charged_until <= $5) IS NOT TRUE AS is_first FROM timed AS i
            ) AS t
        ),
        bounded AS (
            SELECT
                n.*,
                max(CASE WHEN n.kwh > 0 THEN n.counted_at END) OVER (PARTITION BY n.span, n.session) AS charged_last
            FROM numbered AS n
            WHERE n.session > 0
        ),
        charge AS (
            SELECT
                b.span, b.session, min(b.vehicle_id) AS vehicle_id,
                telemetry.recorded_at(max(b.interval_start) FILTER (WHERE b.is_first)) AS started_at,
                telemetry.recorded_at(max(b.charged_last)) AS ended_at,
                sum(b.kwh) AS kwh,
                max(b.kwh * (3600 / date_part('epoch', b.counted_at - b.interval_start))) AS peak_kw,
                count(*) AS readings,
                coalesce(
                    max(b.soc_previous) FILTER (WHERE b.is_first AND b.interval_start = b.previous),
                    public.first(b.soc, b.counted_at) FILTER (WHERE b.soc IS NOT NULL)
                ) AS soc_start,
                public.last(b.soc, b.counted_at) FILTER (WHERE b.soc IS NOT NULL) AS soc_end,
                avg(b.battery_temp) AS battery_temp_avg,
                max(b.battery_temp) AS battery_temp_max
            FROM bounded AS b
            WHERE b.counted_at <= b.charged_last
            GROUP BY b.span, b.session
        ),
        segment AS MATERIALIZED (
            SELECT
                m.vehicle_id COLLATE "C" AS vehicle_id, m.meter_id COLLATE "C" AS meter_id,
                coalesce(m.valid_from, '-infinity') AS valid_from, coalesce(m.valid_until, 'infinity') AS valid_until
            FROM %4$s AS m
            WHERE m.vehicle_id = ANY ($1)
        ),
        consumed AS (
            SELECT
                c.span, c.session, d.day, coalesce(sum(m.kwh), 0) AS kwh, sum(m.readings) AS readings,
                min(m.first_at) AS first_at, max(m.last_at) AS last_at,
                public.first(g.meter_id, m.first_at) FILTER (WHERE m.readings > 0) AS meter_id
            FROM charge AS c
            CROSS JOIN LATERAL (
                SELECT
                    n.day,
                    (((c.started_at AT TIME ZONE $6)::date + n.day)::timestamp AT TIME ZONE $6) AS day_start,
                    (((c.started_at AT TIME ZONE $6)::date + n.day + 1)::timestamp AT TIME ZONE $6) AS day_end
                FROM generate_series(
                    0, (telemetry.counted_at(c.ended_at) AT TIME ZONE $6)::date - (c.started_at AT TIME ZONE $6)::date
                ) AS n (day)
            ) AS d
            LEFT JOIN segment AS g
                ON g.vehicle_id = c.vehicle_id AND g.valid_from < c.ended_at AND g.valid_until > c.started_at
            CROSS JOIN LATERAL (
                SELECT
                    sum(h.kwh_consumed_ac) AS kwh, count(*) AS readings, min(h.counted_at) AS first_at, max(h.counted_at) AS last_at
                FROM telemetry.meter_telemetry_history AS h
                WHERE h.meter_id = g.meter_id
                    AND h.counted_at >= greatest(c.started_at, d.day_start, g.valid_from)
                    AND h.counted_at < least(c.ended_at, d.day_end, g.valid_until)
                    AND h.counted_at >= %3$L AND h.counted_at < %2$L
            ) AS m
            GROUP BY c.span, c.session, d.day
        ),
        total AS (
            SELECT
                a.span, a.session, array_agg(a.kwh ORDER BY a.day) AS kwh_by_day, sum(a.readings)::bigint AS readings,
                min(a.first_at) AS first_at, max(a.last_at) AS last_at, public.first(a.meter_id, a.first_at) AS meter_id
            FROM consumed AS a
            GROUP BY a.span, a.session
        )
        SELECT
            c.vehicle_id, c.started_at, c.ended_at, NULL::uuid, t.meter_id, c.kwh, t.kwh_by_day, c.peak_kw, c.readings, t.readings,
            c.soc_start, c.soc_end, c.battery_temp_avg, c.battery_temp_max,
            telemetry.recorded_at(t.first_at), telemetry.recorded_at(t.last_at)
        FROM charge AS c
        JOIN total AS t ON t.span = c.span AND t.session = c.session
        $query$,
        v_start, v_end, v_start - 2 * v_reach,
        CASE
            WHEN cardinality(p_vehicle_ids) > 100 THEN format('telemetry.fleet_meters(%L, %L)', v_start - v_reach, v_end)
            ELSE 'bi.vehicle_meter'
        END
    ) USING p_vehicle_ids, p_starts, p_ends, v_reach, v_gap, v_zone;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.compute_sessions (text [], timestamptz [], timestamptz []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.compute_sessions (text [], timestamptz [], timestamptz []) IS
'The charging sessions (energy in kWh, power in kW) of each vehicle in its time [start, end), computed from the history, without their ids. No session may lie across a start or end';
