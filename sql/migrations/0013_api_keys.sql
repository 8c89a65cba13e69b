-- API keys: who may post, read and change over HTTP. Of a secret only its hash is here.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.api_key (
    key_id text COLLATE "C" PRIMARY KEY,
    secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
    scope text NOT NULL CHECK (scope IN ('device', 'gateway', 'read', 'admin')),
    stream text CHECK (stream IN ('meter', 'vehicle')),
    device_ids text [] COLLATE "C" NOT NULL DEFAULT '{}',
    id_prefix text COLLATE "C",
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT SESSION_USER,
    expires_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT a_device_key_is_for_one_device CHECK (
        scope <> 'device' OR (stream IS NOT NULL AND cardinality(device_ids) = 1 AND id_prefix IS NULL)
    ),
    CONSTRAINT a_gateway_key_is_for_some_devices CHECK (
        scope <> 'gateway' OR cardinality(device_ids) > 0 OR id_prefix IS NOT NULL
    ),
    CONSTRAINT the_other_keys_are_for_no_device CHECK (
        scope IN ('device', 'gateway') OR (stream IS NULL AND cardinality(device_ids) = 0 AND id_prefix IS NULL)
    )
);

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX api_key_of_a_device ON telemetry.api_key (stream, (device_ids[1])) WHERE scope = 'device';

COMMENT ON TABLE telemetry.api_key IS 'Keys of the HTTP service, revoked and expired ones too; ops.create_api_key, rotate_api_key and revoke_api_key change it, ops.api_key shows it';
COMMENT ON COLUMN telemetry.api_key.key_id IS 'The first part of the token, not secret';
COMMENT ON COLUMN telemetry.api_key.secret_sha256 IS 'SHA-256 of the second part. A secret of 256 random bits cannot be guessed from it, so that a slow hash would only slow the service down';
COMMENT ON COLUMN telemetry.api_key.scope IS 'device: post readings of one device; gateway: post readings of some devices; read: every GET; admin: everything';
COMMENT ON COLUMN telemetry.api_key.stream IS 'meter or vehicle, which of them the ids are; NULL (of a gateway) for both';
COMMENT ON COLUMN telemetry.api_key.device_ids IS 'The devices it may send readings of';
COMMENT ON COLUMN telemetry.api_key.id_prefix IS 'It may also send readings of devices whose id begins with this; empty for every id, NULL for no other';
COMMENT ON COLUMN telemetry.api_key.note IS 'Whose it is, for people';
COMMENT ON COLUMN telemetry.api_key.created_at IS 'When it was made';
COMMENT ON COLUMN telemetry.api_key.created_by IS 'Login that made it';
COMMENT ON COLUMN telemetry.api_key.expires_at IS 'From when on it is refused; NULL for never';
COMMENT ON COLUMN telemetry.api_key.revoked_at IS 'When it was revoked; NULL while it was not';

-- apart from the keys: it changes all the time, and no worker need forget what it knows of a key for that
CREATE TABLE telemetry.api_key_use (
    key_id text COLLATE "C" PRIMARY KEY,
    last_used_at timestamptz NOT NULL
) WITH (fillfactor = 50);

COMMENT ON TABLE telemetry.api_key_use IS 'When each key was last used; ops.api_key shows it';
COMMENT ON COLUMN telemetry.api_key_use.key_id IS 'The key';
COMMENT ON COLUMN telemetry.api_key_use.last_used_at IS 'When a worker last told of it, at most a minute after a request that the key was good for';

CREATE TABLE telemetry.api_key_revision (
    only_row boolean PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    revision bigint NOT NULL
);

COMMENT ON TABLE telemetry.api_key_revision IS 'One row: changes with every change of telemetry.api_key, by which the service sees that what it remembers of keys is old';
COMMENT ON COLUMN telemetry.api_key_revision.only_row IS 'Always true';
COMMENT ON COLUMN telemetry.api_key_revision.revision IS 'How many changes there were';

INSERT INTO telemetry.api_key_revision (revision) VALUES (1);

-- whoever changes a key, by whatever statement: the count goes up in the same transaction
CREATE FUNCTION telemetry.count_api_key_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, telemetry, pg_temp
AS $$
BEGIN
    UPDATE telemetry.api_key_revision SET revision = revision + 1;
    RETURN NULL;
END;
$$;

REVOKE EXECUTE ON FUNCTION telemetry.count_api_key_change() FROM PUBLIC;

COMMENT ON FUNCTION telemetry.count_api_key_change() IS 'Trigger of telemetry.api_key: raises the count in telemetry.api_key_revision';

CREATE TRIGGER count_change
AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON telemetry.api_key
FOR EACH STATEMENT EXECUTE FUNCTION telemetry.count_api_key_change();
