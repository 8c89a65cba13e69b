-- Staleness, declared to readers of the aggregates. Late readings show within minutes of their arrival.

CREATE OR REPLACE VIEW bi.stale_range AS
SELECT r.aggregate, r.range_start, r.range_end FROM ops.list_stale_ranges() AS r;

GRANT SELECT ON bi.stale_range TO energy_bi;

COMMENT ON VIEW bi.stale_range IS 'Ranges of buckets that do not show some late readings yet. A refresh mends them within minutes. All other buckets show every reading';
COMMENT ON COLUMN bi.stale_range.aggregate IS 'The aggregate, with its schema';
COMMENT ON COLUMN bi.stale_range.range_start IS 'Start of the first of these buckets';
COMMENT ON COLUMN bi.stale_range.range_end IS 'End of the last of them';
