-- A replaced register is declared, as its readings cannot tell it from a fault. Readings after it that are stored already are
-- mended in the same transaction, under the lock that ingest takes.

CREATE OR REPLACE FUNCTION api.exchange_register(
    p_kind text,
    p_device_id text,
    p_at timestamptz,
    p_last_register double precision,
    p_first_register double precision,
    p_source text DEFAULT NULL
) RETURNS TABLE (
    at timestamptz,
    last_register double precision,
    first_register double precision,
    declared_at timestamptz,
    declared_by text,
    is_new boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_device CONSTANT text := format('%sId %s', p_kind, p_device_id);
    v_profile record;
    v_exchange telemetry.register_exchange;
    v_old telemetry.register_state;
    v_after record;
BEGIN
    PERFORM api.await_standbys();
    PERFORM
        telemetry.require_value('kind', coalesce(p_kind IN ('meter', 'vehicle'), FALSE), 'meter or vehicle'),
        telemetry.require_device_id(p_kind || 'Id', p_device_id),
        telemetry.require_value('at', p_at IS NOT NULL, 'a time'),
        api.get_device_profile(p_kind, p_device_id),
        telemetry.lock_device_profiles(p_kind, ARRAY[p_device_id]);
    SELECT
        p.energy_kind, p.register_max_kwh, telemetry.device_interval(p_kind, p_device_id) AS expected_interval,
        coalesce(p.max_kw, CASE p_kind WHEN 'meter' THEN f.meter_max_kw ELSE f.vehicle_max_kw END) AS max_kw
    INTO v_profile
    FROM telemetry.fleet AS f
    LEFT JOIN telemetry.device_profile AS p ON p.kind = p_kind AND p.device_id = p_device_id;
    PERFORM
        telemetry.require_value(
            'energyKind of ' || v_device, coalesce(v_profile.energy_kind = 'register', FALSE), 'register for an exchange, not interval'
        ),
        telemetry.require_value(
            r.field, coalesce(r.kwh BETWEEN 0 AND coalesce(v_profile.register_max_kwh, 1e7), FALSE),
            coalesce('from 0 to registerMax ' || v_profile.register_max_kwh, 'from 0 to 1e7') || ' kWh'
        )
    FROM (VALUES ('lastRegister', p_last_register), ('firstRegister', p_first_register)) AS r (field, kwh);

    SELECT * INTO v_exchange
    FROM telemetry.register_exchange AS x
    WHERE x.kind = p_kind AND x.device_id = p_device_id AND x.exchanged_at = p_at;
    IF found AND (v_exchange.last_register_kwh, v_exchange.first_register_kwh) <> (p_last_register, p_first_register) THEN
        RAISE EXCEPTION '% has an exchange at % with other registers, which is kept: lastRegister %, firstRegister %, not % and %',
            v_device, telemetry.format_utc(p_at), v_exchange.last_register_kwh, v_exchange.first_register_kwh,
            p_last_register, p_first_register
            USING ERRCODE = 'IE007';
    ELSIF found THEN
        RETURN QUERY
        SELECT
            v_exchange.exchanged_at, v_exchange.last_register_kwh, v_exchange.first_register_kwh, v_exchange.declared_at,
            v_exchange.declared_by, FALSE;
        RETURN;
    END IF;

    PERFORM
        telemetry.require_value('at', p_at <= now() + INTERVAL '5 minutes', 'at most 5 minutes ahead of the server'),
        telemetry.require_value(
            'at', p_at >= now() - telemetry.accepted_age(p_kind), 'within the retention of ' || telemetry.accepted_age(p_kind)
        );
    v_old := telemetry.register_state_before(
        p_kind, p_device_id, p_at + INTERVAL '1 microsecond', v_profile.register_max_kwh, v_profile.max_kw
    );
    FOREACH v_exchange IN ARRAY coalesce(
        telemetry.register_exchanges(p_kind, p_device_id, v_old.baseline_at), '{}'
    ) LOOP
        CONTINUE WHEN v_exchange.exchanged_at > p_at;
        v_old := ROW(
            v_exchange.first_register_kwh, v_exchange.exchanged_at, 0, FALSE, FALSE, NULL, NULL, NULL, 0
        )::telemetry.register_state;
    END LOOP;
    -- with exchange_kwh, as lastRegister is declared: zeros before it are none of a start
    v_old := ROW(
        v_old.baseline_kwh, v_old.baseline_at, 0, FALSE, FALSE, v_old.former_kwh, v_old.former_at, NULL, 0
    )::telemetry.register_state;
    PERFORM
        telemetry.require_value(
            'lastRegister',
            p_last_register >= v_old.baseline_kwh
            OR telemetry.is_rollover(v_old.baseline_kwh, p_last_register, v_profile.register_max_kwh),
            format('at least the register of %s, %s kWh', telemetry.format_utc(v_old.baseline_at), v_old.baseline_kwh)
        ),
        telemetry.require_value(
            'lastRegister',
            NOT (telemetry.register_step(
                NULL, p_last_register, p_at, v_old, v_profile.register_max_kwh, v_profile.max_kw, v_profile.expected_interval,
                TRUE, NULL
            )).is_implausible,
            format(
                'at most twice the energy that maxKw %s allows above the register of %s, %s kWh',
                v_profile.max_kw, telemetry.format_utc(v_old.baseline_at), v_old.baseline_kwh
            )
        );

    -- the readings of the new register, up to the next exchange
    EXECUTE format(
        $query$
            SELECT
                max(h.register_kwh) AS highest, (array_agg(h.register_kwh ORDER BY h.counted_at))[1] AS register_kwh,
                telemetry.recorded_at(min(h.counted_at)) AS recorded_at
            FROM telemetry.%I AS h
            WHERE h.%I = $1 AND h.counted_at >= $2 AND h.counted_at < $3
        $query$, p_kind || '_telemetry_history', p_kind || '_id'
    ) INTO v_after USING p_device_id, p_at, coalesce(
        (
            SELECT min(x.exchanged_at) FROM telemetry.register_exchange AS x
            WHERE x.kind = p_kind AND x.device_id = p_device_id AND x.exchanged_at > p_at
        ),
        now() + INTERVAL '1 day'
    );
    PERFORM
        telemetry.require_value(
            'firstRegister',
            p_first_register <= v_after.highest OR v_after.highest = 0 -- the zero of a start
            OR telemetry.is_rollover(p_first_register, v_after.highest, v_profile.register_max_kwh),
            format('at most the highest register that is stored after it, %s kWh', v_after.highest)
        ),
        telemetry.require_value(
            'firstRegister',
            NOT (telemetry.register_step(
                NULL, v_after.register_kwh, v_after.recorded_at,
                ROW(p_first_register, p_at, 0, FALSE, FALSE, NULL, NULL, NULL, 0)::telemetry.register_state,
                v_profile.register_max_kwh, v_profile.max_kw, v_profile.expected_interval, TRUE, NULL
            )).is_implausible,
            format(
                'at most twice the energy that maxKw %s allows below the register of %s, %s kWh',
                v_profile.max_kw, telemetry.format_utc(v_after.recorded_at), v_after.register_kwh
            )
        )
    WHERE v_after.register_kwh IS NOT NULL;

    INSERT INTO telemetry.register_exchange
        (kind, device_id, exchanged_at, last_register_kwh, first_register_kwh, declared_by)
    VALUES (p_kind, p_device_id, p_at, p_last_register, p_first_register, p_source)
    RETURNING * INTO v_exchange;
    PERFORM telemetry.mend_register_energy(
        p_kind, p_device_id, p_at, v_profile.register_max_kwh, v_profile.max_kw, TRUE
    );
    RETURN QUERY
    SELECT p_at, p_last_register, p_first_register, v_exchange.declared_at, v_exchange.declared_by, TRUE;
END;
$$;

REVOKE EXECUTE ON FUNCTION api.exchange_register (
    text, text, timestamptz, double precision, double precision, text
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.exchange_register (
    text, text, timestamptz, double precision, double precision, text
) TO energy_service, energy_dba;

COMMENT ON FUNCTION api.exchange_register (text, text, timestamptz, double precision, double precision, text) IS
'Declares that the register of a device (p_kind: meter or vehicle) was replaced at p_at: the old one ended at p_last_register, the new one began at p_first_register (kWh). A reading of that time shows the old one. Stored readings after it are mended. Returns the exchange; is_new is false if it was declared before, with the same values. p_source is kept with it. Raises IE001 (vehicle) or IE002 (meter) for an unknown device, IE004 for an invalid value or a device that sends no register, IE007 if other registers were declared for that time';
