"""PostgreSQL: pools, the calls to SQL functions, group commit, migrations."""
