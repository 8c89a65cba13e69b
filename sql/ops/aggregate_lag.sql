-- The lag of the aggregates, for people: a job may succeed and do nothing, which shows here.

CREATE OR REPLACE VIEW ops.aggregate_lag AS
SELECT l.aggregate, l.materialized_until, l.stale_ranges, l.received_until, l.health
FROM ops.measure_aggregate_lag() AS l;

GRANT SELECT ON ops.aggregate_lag TO energy_dba;

COMMENT ON VIEW ops.aggregate_lag IS 'Readings that each aggregate does not show yet';
COMMENT ON COLUMN ops.aggregate_lag.aggregate IS 'The aggregate';
COMMENT ON COLUMN ops.aggregate_lag.materialized_until IS 'Later readings are read in real time; NULL if nothing is materialized';
COMMENT ON COLUMN ops.aggregate_lag.stale_ranges IS 'Buckets before that with late readings, which the next run of the refresh mends: bi.stale_range';
COMMENT ON COLUMN ops.aggregate_lag.received_until IS 'Readings received before this are in the aggregate: the start of the last complete run of the refresh';
COMMENT ON COLUMN ops.aggregate_lag.health IS 'ok; late: something is stale, and two runs of the refresh have not mended it';
