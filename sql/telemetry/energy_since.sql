-- The sum of a stream since a midnight, in a few thousand rows: whole hours from the hourly aggregate, what lies before the
-- first and after the last of them (a midnight may be at half past) in quarter hours. Of a small fleet up to this moment.

CREATE OR REPLACE FUNCTION telemetry.energy_since(
    p_stream text, p_start timestamptz, OUT kwh double precision, OUT kwh_until timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
DECLARE
    v_is_small CONSTANT boolean := telemetry.is_small_fleet();
    v_quarters CONSTANT text := p_stream || '_15min';
    v_hours CONSTANT text := p_stream || '_hourly';
    v_first_hour CONSTANT timestamptz := date_trunc('hour', p_start + INTERVAL '59 minutes 59 seconds', 'UTC');
    v_last_hour CONSTANT timestamptz := greatest(
        v_first_hour, CASE WHEN v_is_small THEN date_trunc('hour', now(), 'UTC') ELSE telemetry.held_until(v_hours) END
    );
BEGIN
    kwh_until := CASE WHEN v_is_small THEN now() ELSE greatest(p_start, telemetry.held_until(v_quarters)) END;
    EXECUTE format(
        $query$
            SELECT sum(s.kwh)
            FROM (
                SELECT q.%1$I AS kwh FROM %2$s AS q WHERE q.bucket >= $1 AND q.bucket < $2
                UNION ALL
                SELECT h.%1$I FROM %3$s AS h WHERE h.bucket >= $2 AND h.bucket < $3
                UNION ALL
                SELECT q.%1$I FROM %2$s AS q WHERE q.bucket >= $3 AND q.bucket < $4
            ) AS s
        $query$,
        telemetry.energy_column(p_stream),
        telemetry.fleet_source(v_quarters), telemetry.fleet_source(v_hours)
    ) INTO kwh USING p_start, v_first_hour, v_last_hour, kwh_until;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.energy_since (text, timestamptz) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.energy_since (text, timestamptz) IS
'The energy (kWh; NULL without a reading) of all devices of a stream (meter or vehicle) from p_start on, and until when that is known';
