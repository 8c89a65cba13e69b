-- Extensions, the four roles, the four schemas, and the ledger of applied migrations.
-- Roles belong to the whole cluster and may be there already (another database of the same server made them).

CREATE EXTENSION IF NOT EXISTS timescaledb WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

DO $$
BEGIN
    IF pg_catalog.current_setting('timescaledb.license') <> 'timescale' THEN
        RAISE EXCEPTION 'this is the Apache edition of TimescaleDB, without continuous aggregates, columnstore and policies: use the Community edition (an image tag without -oss, timescaledb.license = timescale)';
    END IF;
END;
$$;

DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['energy_owner', 'energy_service', 'energy_bi', 'energy_dba'] LOOP
        BEGIN
            EXECUTE pg_catalog.format('CREATE ROLE %I', v_role);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;

    -- TimescaleDB runs no policy job for an owner that cannot log in; without a password nobody else can.
    IF NOT (SELECT rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = 'energy_owner') THEN
        ALTER ROLE energy_owner LOGIN;
    END IF;

    IF NOT pg_catalog.pg_has_role('energy_owner', 'USAGE') THEN
        GRANT energy_owner TO CURRENT_USER;
    END IF;
END;
$$;

COMMENT ON ROLE energy_owner IS 'Owns every object of the engine; has no password, nobody logs in as it';
COMMENT ON ROLE energy_service IS 'What the HTTP service works as: EXECUTE on the functions of schema api, nothing else';
COMMENT ON ROLE energy_bi IS 'BI people: reads schema bi, nothing else';
COMMENT ON ROLE energy_dba IS 'DBAs: policies, jobs and operations through schema ops';

-- PostgreSQL lets PUBLIC execute every new function; here each function file names who may.
ALTER DEFAULT PRIVILEGES FOR ROLE energy_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE SCHEMA telemetry AUTHORIZATION energy_owner;
CREATE SCHEMA api AUTHORIZATION energy_owner;
CREATE SCHEMA bi AUTHORIZATION energy_owner;
CREATE SCHEMA ops AUTHORIZATION energy_owner;

COMMENT ON SCHEMA telemetry IS 'Private: the tables of readings and status, and the helpers behind api';
COMMENT ON SCHEMA api IS 'Every function the service may call, and nothing else';
COMMENT ON SCHEMA bi IS 'Aggregates and views for BI people, read-only';
COMMENT ON SCHEMA ops IS 'Procedures, functions and views for DBAs';

GRANT USAGE ON SCHEMA api TO energy_service;
GRANT USAGE ON SCHEMA bi TO energy_bi;
GRANT USAGE ON SCHEMA ops TO energy_dba;

SET LOCAL ROLE energy_owner;

CREATE TABLE ops.migration (
    migration_id text COLLATE "C" PRIMARY KEY,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE ops.migration IS 'The migrations this database has, written in the transaction that applied each';
COMMENT ON COLUMN ops.migration.migration_id IS 'File name in sql/migrations without .sql; sorts in the order of application';
COMMENT ON COLUMN ops.migration.sha256 IS 'SHA-256 of the file when it was applied, hexadecimal: an edited migration is recognized by it';
COMMENT ON COLUMN ops.migration.applied_at IS 'When it was applied';

GRANT SELECT ON ops.migration TO energy_dba;
