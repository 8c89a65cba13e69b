-- Charging sessions: stored as they were last computed, and the times for which they may differ from the history.
-- squawk-ignore-file require-concurrent-index-creation

SET LOCAL ROLE energy_owner;

ALTER TABLE telemetry.fleet
ADD COLUMN session_gap interval NOT NULL DEFAULT '15 minutes'
CHECK (session_gap >= INTERVAL '1 minute' AND session_gap <= INTERVAL '6 hours');

COMMENT ON COLUMN telemetry.fleet.session_gap IS 'Longest time without delivered energy within a charging session, 1 minute to 6 hours; ops.set_session_gap sets it';

CREATE TABLE telemetry.charging_session (
    vehicle_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    session_id uuid NOT NULL,
    meter_id text COLLATE "C",
    kwh_delivered_dc double precision NOT NULL,
    kwh_consumed_ac_by_day double precision [] NOT NULL,
    peak_kw double precision NOT NULL,
    readings bigint NOT NULL,
    meter_readings bigint NOT NULL,
    soc_start double precision,
    soc_end double precision,
    battery_temp_avg double precision,
    battery_temp_max double precision,
    meter_first_at timestamptz,
    meter_last_at timestamptz,
    PRIMARY KEY (vehicle_id, started_at)
);

COMMENT ON TABLE telemetry.charging_session IS 'Charging sessions as they were last computed: one row a session. telemetry.stale_session_spans lists the times for which they may differ from the history';
COMMENT ON COLUMN telemetry.charging_session.vehicle_id IS 'The vehicle''s id';
COMMENT ON COLUMN telemetry.charging_session.started_at IS 'Start of the first interval with delivered energy';
COMMENT ON COLUMN telemetry.charging_session.ended_at IS 'End of the last interval with delivered energy: the stamp of its reading';
COMMENT ON COLUMN telemetry.charging_session.session_id IS 'The session''s id (telemetry.live_sessions)';
COMMENT ON COLUMN telemetry.charging_session.meter_id IS 'The meter of the first AC reading in the session; NULL without any';
COMMENT ON COLUMN telemetry.charging_session.kwh_delivered_dc IS 'DC energy that reached the battery, kWh';
COMMENT ON COLUMN telemetry.charging_session.kwh_consumed_ac_by_day IS 'AC energy that the vehicle''s meters drew in the session, kWh, in each day of the fleet''s time zone, from that of started_at on; 0 without a reading';
COMMENT ON COLUMN telemetry.charging_session.peak_kw IS 'Highest mean power of an interval, kW';
COMMENT ON COLUMN telemetry.charging_session.readings IS 'Readings of the vehicle in the session';
COMMENT ON COLUMN telemetry.charging_session.meter_readings IS 'Readings of its meters in the session';
COMMENT ON COLUMN telemetry.charging_session.soc_start IS 'State of charge at the start, else at the first reading that measured it, percent';
COMMENT ON COLUMN telemetry.charging_session.soc_end IS 'State of charge at the last reading that measured it, percent';
COMMENT ON COLUMN telemetry.charging_session.battery_temp_avg IS 'Mean battery temperature, degrees Celsius, over the readings that measured it';
COMMENT ON COLUMN telemetry.charging_session.battery_temp_max IS 'Highest battery temperature, degrees Celsius';
COMMENT ON COLUMN telemetry.charging_session.meter_first_at IS 'The meter''s own time of its first reading in the session; NULL without any';
COMMENT ON COLUMN telemetry.charging_session.meter_last_at IS 'The meter''s own time of its last reading in the session; NULL without any';

CREATE INDEX charging_session_started_at ON telemetry.charging_session (started_at, vehicle_id);
-- not unique: while rows are replaced, two may have one id for a moment
CREATE INDEX charging_session_session_id ON telemetry.charging_session (session_id);

CREATE TABLE telemetry.stale_session (
    note_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text CHECK (kind IN ('meter', 'vehicle')),
    vehicle_id text COLLATE "C",
    during tstzmultirange NOT NULL
);

COMMENT ON TABLE telemetry.stale_session IS 'Times for which stored sessions may differ from the history, beside those of TimescaleDB''s logs. Rows are only added, and taken away by the run that has computed their sessions';
COMMENT ON COLUMN telemetry.stale_session.note_id IS 'Number of the row';
COMMENT ON COLUMN telemetry.stale_session.kind IS 'The kind whose refresh has added it, and alone takes it away; NULL otherwise';
COMMENT ON COLUMN telemetry.stale_session.vehicle_id IS 'The vehicle; NULL for all';
COMMENT ON COLUMN telemetry.stale_session.during IS 'The times, as telemetry.counted_at';

-- the history that is there already
INSERT INTO telemetry.stale_session (during)
SELECT '{(,)}'
WHERE EXISTS (SELECT FROM timescaledb_information.chunks AS i WHERE i.hypertable_name = 'vehicle_telemetry_history');

-- the triggers need their functions to be there; the code of this version replaces the bodies
CREATE FUNCTION telemetry.note_refreshed_quarters() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END;
$$;

CREATE FUNCTION telemetry.note_new_meters() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.note_refreshed_quarters () FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION telemetry.note_new_meters () FROM PUBLIC;

CREATE TRIGGER note_new_meters AFTER INSERT ON telemetry.meter_current_status
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION telemetry.note_new_meters();
CREATE TRIGGER note_removed_meters AFTER DELETE ON telemetry.meter_current_status
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION telemetry.note_new_meters();

-- A statement is noted once: a trigger of each row would run for every device and quarter hour. A refresh deletes the rows of
-- a changed time and inserts them anew, and the history loses no readings: deletes alone need no note.
-- ops.refresh_aggregates has noted its times before, and says so in this setting.
DO $$
DECLARE
    v_trigger record;
BEGIN
    FOR v_trigger IN
        SELECT format('%I.%I', h.schema_name, h.table_name)::pg_catalog.regclass AS materialized, e.event
        FROM _timescaledb_catalog.continuous_agg AS a
        JOIN _timescaledb_catalog.hypertable AS h ON a.mat_hypertable_id = h.id
        CROSS JOIN (VALUES ('insert'), ('update')) AS e (event)
        WHERE a.user_view_schema = 'bi' AND a.user_view_name IN ('meter_15min', 'vehicle_15min')
    LOOP
        EXECUTE format(
            $sql$
            CREATE TRIGGER note_refreshed_quarters_%2$s AFTER %2$s ON %1$s REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
            WHEN (pg_catalog.current_setting('energy.sessions_follow', TRUE) IS DISTINCT FROM 'on')
            EXECUTE FUNCTION telemetry.note_refreshed_quarters()
            $sql$, v_trigger.materialized, v_trigger.event
        );
    END LOOP;
END;
$$;
