-- The DC energy that a charger owes: what the threshold allows to be lost is not counted.

CREATE OR REPLACE FUNCTION telemetry.energy_lost(
    p_vehicle_ids text [], p_starts timestamptz [], p_ends timestamptz [], p_threshold double precision
) RETURNS TABLE (place bigint, kwh double precision)
LANGUAGE sql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
    WITH piece AS MATERIALIZED (
        SELECT
            row_number() OVER () AS segment, s.place, m.meter_id,
            greatest(m.valid_from, s.starts_at) AS starts_at, least(m.valid_until, s.ends_at) AS ends_at
        FROM bi.vehicle_meter AS m
        JOIN unnest(p_vehicle_ids, p_starts, p_ends) WITH ORDINALITY AS s (vehicle_id, starts_at, ends_at, place)
            ON s.vehicle_id = m.vehicle_id AND tstzrange(m.valid_from, m.valid_until) && tstzrange(s.starts_at, s.ends_at)
        WHERE m.vehicle_id = ANY (p_vehicle_ids)
    ),
    part AS (
        SELECT p.place, p_threshold * a.kwh AS kwh
        FROM telemetry.sum_segments(
            'meter',
            ARRAY(SELECT i.meter_id FROM piece AS i ORDER BY i.segment),
            ARRAY(SELECT i.starts_at FROM piece AS i ORDER BY i.segment),
            ARRAY(SELECT i.ends_at FROM piece AS i ORDER BY i.segment)
        ) AS a
        JOIN piece AS p ON p.segment = a.segment
        UNION ALL
        SELECT d.segment, -d.kwh
        FROM telemetry.sum_segments('vehicle', p_vehicle_ids, p_starts, p_ends) AS d
    )
    SELECT p.place, greatest(0, round(sum(p.kwh::numeric), 6))::double precision
    FROM part AS p
    GROUP BY p.place;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.energy_lost (text [], timestamptz [], timestamptz [], double precision) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.energy_lost (text [], timestamptz [], timestamptz [], double precision) IS
'DC energy that is missing for a ratio of p_threshold (kWh, at least 0) of vehicles, each in its own [start, end); place is the position in the arrays, from 1';
