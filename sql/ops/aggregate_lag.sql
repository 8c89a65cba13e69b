-- For the eye: a job may succeed and do nothing, which shows here.

CREATE OR REPLACE VIEW ops.aggregate_lag AS
SELECT l.aggregate, l.materialized_until, l.behind, l.stale_ranges, l.health
FROM ops.measure_aggregate_lag() AS l;

GRANT SELECT ON ops.aggregate_lag TO energy_dba;

COMMENT ON VIEW ops.aggregate_lag IS 'What each aggregate has not taken up yet';
COMMENT ON COLUMN ops.aggregate_lag.aggregate IS 'The aggregate';
COMMENT ON COLUMN ops.aggregate_lag.materialized_until IS 'What is newer is read in real time; NULL where nothing is materialized';
COMMENT ON COLUMN ops.aggregate_lag.behind IS 'How far it is behind the newest reading that the live tier reaches, whole buckets; 0 without new readings';
COMMENT ON COLUMN ops.aggregate_lag.stale_ranges IS 'Times before that in which late readings have come: the next run of the tier that reaches them takes them up, if one does';
COMMENT ON COLUMN ops.aggregate_lag.health IS 'ok; late: two runs of the live tier have not caught up; unreached: late readings are older than late_start, so that no tier takes them up';
