"""PostgreSQL: connection pools, SQL calls, group commit, failures, migrations."""
