-- What was well-formed JSON but refused: nothing that a device sent vanishes silently.

SET LOCAL ROLE energy_owner;

CREATE TABLE telemetry.rejected_reading (
    received_at timestamptz NOT NULL DEFAULT now(),
    rejected_id bigint GENERATED ALWAYS AS IDENTITY,
    stream text NOT NULL CHECK (stream IN ('meter', 'vehicle', 'unknown')),
    code text NOT NULL,
    detail text NOT NULL,
    payload text NOT NULL,
    source text,
    PRIMARY KEY (received_at, rejected_id)
);

COMMENT ON TABLE telemetry.rejected_reading IS 'Readings that were well-formed JSON but refused, kept 30 days';
COMMENT ON COLUMN telemetry.rejected_reading.received_at IS 'The server''s time when the reading came';
COMMENT ON COLUMN telemetry.rejected_reading.rejected_id IS 'Number of the refusal';
COMMENT ON COLUMN telemetry.rejected_reading.stream IS 'meter, vehicle, or unknown where the payload does not tell';
COMMENT ON COLUMN telemetry.rejected_reading.code IS 'Stable code of the reason, as the device got it';
COMMENT ON COLUMN telemetry.rejected_reading.detail IS 'The reason in words: the field and the limit';
COMMENT ON COLUMN telemetry.rejected_reading.payload IS 'The reading as JSON, at most 8,192 characters of it';
COMMENT ON COLUMN telemetry.rejected_reading.source IS 'Who sent it: the network address';

SELECT public.create_hypertable(
    'telemetry.rejected_reading',
    public.by_range('received_at', INTERVAL '1 day'),
    create_default_indexes => FALSE
);
SELECT public.add_retention_policy('telemetry.rejected_reading', drop_after => INTERVAL '30 days');
