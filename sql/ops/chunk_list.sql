-- The chunks for people: their sizes and their future.

CREATE OR REPLACE VIEW ops.chunk_list AS
SELECT
    c.object, c.chunk, c.range_start, c.range_end, c.is_compressed, c.rows_estimated, c.bytes, c.raw_bytes, c.is_due,
    c.archived_at
FROM ops.list_chunks() AS c;

GRANT SELECT ON ops.chunk_list TO energy_dba;

COMMENT ON VIEW ops.chunk_list IS 'Every chunk of every object of ops.policy';
COMMENT ON COLUMN ops.chunk_list.object IS 'The table or aggregate';
COMMENT ON COLUMN ops.chunk_list.chunk IS 'The chunk''s own table';
COMMENT ON COLUMN ops.chunk_list.range_start IS 'Start of the time it covers';
COMMENT ON COLUMN ops.chunk_list.range_end IS 'End of the time it covers, itself not included';
COMMENT ON COLUMN ops.chunk_list.is_compressed IS 'True if it is in the columnstore';
COMMENT ON COLUMN ops.chunk_list.rows_estimated IS 'Rows, as of its compression or the last ANALYZE';
COMMENT ON COLUMN ops.chunk_list.bytes IS 'Its size, with its indexes, bytes';
COMMENT ON COLUMN ops.chunk_list.raw_bytes IS 'Its size before compression, bytes';
COMMENT ON COLUMN ops.chunk_list.is_due IS 'True if it is older than drop_after';
COMMENT ON COLUMN ops.chunk_list.archived_at IS 'Time of the verified copy by energy archive; NULL without';
