-- The write path of a batch with profiled devices: registers, and limits of power. The baseline of a register is in the
-- current status, so newer readings need no look into the history. Late registers go first and one by one: each changes
-- its successors, the current status included. The caller holds telemetry.lock_device_profiles, so readings of these
-- devices are stored one batch after the other. The planner expects ten elements in any array, and would compare a thousand
-- readings with a thousand one by one. A FULL JOIN is never planned so; COALESCE keeps it one.

CREATE OR REPLACE FUNCTION telemetry.store_profiled_vehicle_readings(
    p_readings api.vehicle_reading [], OUT stored bigint [], OUT implausible bigint []
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, telemetry, pg_temp
SET plan_cache_mode = force_custom_plan
SET enable_nestloop = on
AS $$
#variable_conflict use_column
DECLARE
    v_retention CONSTANT interval := telemetry.accepted_age('vehicle');
    v_max_kw CONSTANT double precision := (SELECT f.vehicle_max_kw FROM telemetry.fleet AS f);
    v_late record;
    v_base telemetry.register_state;
    v_state telemetry.register_state;
    v_late_stored bigint[];
    v_late_implausible bigint[];
    v_glitch_ids text[];
    v_glitches_after timestamptz[];
    v_glitches_before timestamptz[];
BEGIN
    FOR v_late IN
        SELECT DISTINCT ON (r.vehicle_id, r.recorded_at)
            r.*, p.register_max_kwh, coalesce(p.max_kw, v_max_kw) AS max_kw,
            telemetry.expected_interval(p.expected_interval, s.observed_interval) AS expected_interval
        FROM unnest(p_readings) WITH ORDINALITY
            AS r (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source, position)
        JOIN telemetry.device_profile AS p
            ON p.kind = 'vehicle' AND p.device_id = r.vehicle_id AND p.energy_kind = 'register'
        JOIN telemetry.vehicle_current_status AS s ON s.vehicle_id = r.vehicle_id AND s.recorded_at >= r.recorded_at
        WHERE
            telemetry.reject_vehicle_reading(
                r.vehicle_id, r.recorded_at, r.soc, r.kwh_delivered_dc, r.battery_temp, now(), v_retention
            ) IS NULL
            AND NOT EXISTS (
                SELECT FROM telemetry.vehicle_telemetry_history AS h
                WHERE h.vehicle_id = r.vehicle_id AND h.counted_at = telemetry.counted_at(r.recorded_at)
            )
        ORDER BY r.vehicle_id, r.recorded_at, r.position
    LOOP
        v_base := telemetry.register_state_before(
            'vehicle', v_late.vehicle_id, v_late.recorded_at, v_late.register_max_kwh, v_late.max_kw
        );
        v_state := telemetry.register_step(
            NULL, v_late.kwh_delivered_dc, v_late.recorded_at, v_base,
            v_late.register_max_kwh, v_late.max_kw, v_late.expected_interval, TRUE,
            telemetry.register_exchanges('vehicle', v_late.vehicle_id, v_base.baseline_at)
        );
        IF v_state.is_implausible OR telemetry.contradicts_next_register(
            'vehicle', v_late.vehicle_id, v_late.recorded_at, v_state,
            v_late.register_max_kwh, v_late.max_kw, v_late.expected_interval
        ) THEN
            v_late_implausible := v_late_implausible || v_late.position;
        ELSE
            INSERT INTO telemetry.vehicle_telemetry_history
                (vehicle_id, counted_at, soc, kwh_delivered_dc, battery_temp, register_kwh, register_dip)
            VALUES (
                v_late.vehicle_id, telemetry.counted_at(v_late.recorded_at), v_late.soc, v_state.kwh, v_late.battery_temp,
                v_late.kwh_delivered_dc, nullif(v_state.is_dip, FALSE)
            );
            PERFORM telemetry.mend_register_energy(
                'vehicle', v_late.vehicle_id, v_late.recorded_at, v_late.register_max_kwh, v_late.max_kw
            );
            v_late_stored := v_late_stored || v_late.position;
        END IF;
    END LOOP;

    WITH reading AS (
        SELECT
            r.position, r.vehicle_id, r.recorded_at, r.soc, r.kwh_delivered_dc, r.battery_temp, p.energy_kind, p.register_max_kwh,
            coalesce(p.max_kw, v_max_kw) AS max_kw,
            telemetry.expected_interval(p.expected_interval, s.observed_interval) AS expected_interval,
            p.energy_kind IS DISTINCT FROM 'register' AND telemetry.is_implausible(
                r.kwh_delivered_dc,
                telemetry.possible_interval(
                    p.expected_interval, s.observed_interval, r.recorded_at - s.recorded_at,
                    CASE WHEN p.max_kw IS NULL THEN INTERVAL '1 day' ELSE INTERVAL '1 minute' END
                ),
                coalesce(p.max_kw, v_max_kw)
            ) IS TRUE AS is_implausible
        FROM unnest(p_readings) WITH ORDINALITY
            AS r (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source, position)
        LEFT JOIN telemetry.device_profile AS p ON p.kind = 'vehicle' AND p.device_id = r.vehicle_id
        LEFT JOIN telemetry.vehicle_current_status AS s ON s.vehicle_id = r.vehicle_id
        WHERE telemetry.reject_vehicle_reading(
            r.vehicle_id, r.recorded_at, r.soc, r.kwh_delivered_dc, r.battery_temp, now(), v_retention
        ) IS NULL
    ),
    candidate AS (
        -- for duplicate keys in a batch, the first wins
        SELECT DISTINCT ON (r.vehicle_id, r.recorded_at) r.*
        FROM reading AS r
        WHERE r.is_implausible IS NOT TRUE
        ORDER BY r.vehicle_id, r.recorded_at, r.position
    ),
    profiled AS (
        SELECT
            c.*,
            CASE WHEN c.energy_kind = 'register' THEN c.kwh_delivered_dc END AS register_kwh,
            CASE WHEN c.energy_kind = 'register' THEN (
                SELECT array_agg(x ORDER BY x.exchanged_at)
                FROM telemetry.register_exchange AS x
                WHERE x.kind = 'vehicle' AND x.device_id = c.vehicle_id
            ) END AS exchanges,
            ROW(
                s.register_baseline_kwh, coalesce(s.register_baseline_at, s.recorded_at), 0, FALSE, FALSE,
                s.register_former_kwh, s.register_former_at, NULL, NULL
            )::telemetry.register_state AS base
        FROM candidate AS c
        LEFT JOIN telemetry.vehicle_current_status AS s ON s.vehicle_id = c.vehicle_id
        WHERE c.energy_kind IS DISTINCT FROM 'register' OR s.recorded_at IS NULL OR c.recorded_at > s.recorded_at
    ),
    derived AS (
        SELECT
            f.*,
            CASE
                WHEN f.register_kwh IS NOT NULL THEN telemetry.register_chain(
                    f.register_kwh, f.recorded_at, f.base, f.register_max_kwh, f.max_kw, f.expected_interval, TRUE, f.exchanges
                ) FILTER (WHERE f.register_kwh IS NOT NULL) OVER (PARTITION BY f.vehicle_id ORDER BY f.recorded_at)
                ELSE ROW(NULL, NULL, f.kwh_delivered_dc, FALSE, FALSE, NULL, NULL, NULL, NULL)::telemetry.register_state
            END AS state
        FROM profiled AS f
    ),
    stored AS (
        INSERT INTO telemetry.vehicle_telemetry_history
            (vehicle_id, counted_at, soc, kwh_delivered_dc, battery_temp, register_kwh, register_dip, register_former_at, exchange_kwh)
        SELECT
            vehicle_id, telemetry.counted_at(recorded_at), soc, (state).kwh, battery_temp,
            register_kwh, nullif((state).is_dip, FALSE), (state).former_at, (state).exchange_kwh
        FROM derived
        WHERE NOT (state).is_implausible
        ORDER BY vehicle_id, recorded_at
        ON CONFLICT DO NOTHING
        RETURNING vehicle_id, telemetry.recorded_at(counted_at) AS recorded_at, received_at, soc, kwh_delivered_dc, battery_temp
    ),
    latest AS (
        INSERT INTO telemetry.vehicle_current_status AS status
            (vehicle_id, recorded_at, received_at, soc, kwh_delivered_dc, battery_temp, register_baseline_kwh, register_baseline_at,
                register_former_kwh, register_former_at, observed_interval)
        SELECT DISTINCT ON (vehicle_id)
            vehicle_id, recorded_at, now(), stored.soc, stored.kwh_delivered_dc, stored.battery_temp,
            (derived.state).baseline_kwh, (derived.state).baseline_at,
            (derived.state).former_kwh, (derived.state).former_at,
            telemetry.observe_interval(
                NULL, NULL, recorded_at - lag(recorded_at) OVER (PARTITION BY vehicle_id ORDER BY recorded_at)
            )
        FROM stored
        FULL JOIN derived USING (vehicle_id, recorded_at)
        WHERE coalesce(stored.received_at > '-infinity', FALSE)
        ORDER BY vehicle_id, recorded_at DESC
        ON CONFLICT (vehicle_id) DO UPDATE SET
            recorded_at = excluded.recorded_at,
            received_at = excluded.received_at,
            soc = excluded.soc,
            kwh_delivered_dc = excluded.kwh_delivered_dc,
            battery_temp = excluded.battery_temp,
            register_baseline_kwh = excluded.register_baseline_kwh,
            register_baseline_at = excluded.register_baseline_at,
            register_former_kwh = excluded.register_former_kwh,
            register_former_at = excluded.register_former_at,
            observed_interval = telemetry.observe_interval(
                status.observed_interval, excluded.recorded_at - status.recorded_at, excluded.observed_interval
            )
        WHERE status.recorded_at < excluded.recorded_at
    )
    SELECT
        array_agg(derived.position) FILTER (WHERE stored.vehicle_id IS NOT NULL),
        array_agg(derived.position) FILTER (WHERE (derived.state).is_implausible)
        || (SELECT array_agg(reading.position) FROM reading WHERE reading.is_implausible),
        array_agg(stored.vehicle_id) FILTER (WHERE (derived.state).glitch_after IS NOT NULL),
        array_agg((derived.state).glitch_after) FILTER (WHERE (derived.state).glitch_after IS NOT NULL),
        array_agg(stored.recorded_at) FILTER (WHERE (derived.state).glitch_after IS NOT NULL)
    INTO stored, implausible, v_glitch_ids, v_glitches_after, v_glitches_before
    FROM derived
    FULL JOIN stored USING (vehicle_id, recorded_at);

    PERFORM telemetry.void_glitches('vehicle', g.device_id, g.after, g.before)
    FROM unnest(v_glitch_ids, v_glitches_after, v_glitches_before) AS g (device_id, after, before);

    stored := stored || v_late_stored;
    implausible := implausible || v_late_implausible;
    IF implausible IS NOT NULL THEN -- as are later ones with the key of one of them
        SELECT array_agg(r.position) INTO implausible
        FROM unnest(p_readings) WITH ORDINALITY AS r (vehicle_id, recorded_at, soc, kwh_delivered_dc, battery_temp, source, position)
        WHERE (r.vehicle_id, r.recorded_at) IN (
            SELECT p_readings[i.position].vehicle_id, p_readings[i.position].recorded_at
            FROM unnest(implausible) AS i (position)
        );
    END IF;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.store_profiled_vehicle_readings (api.vehicle_reading []) FROM PUBLIC;

COMMENT ON FUNCTION telemetry.store_profiled_vehicle_readings (api.vehicle_reading []) IS
'Stores the readings of a batch as api.ingest_vehicle_readings does, by telemetry.device_profile: registers become energies (kWh). Returns the positions (from 1) of the stored readings, and of those rejected for more energy than the device can carry';
