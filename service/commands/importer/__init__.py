"""`energy import`: files of readings, stored in chunks that are committed as a whole.

`files` opens files as rows, `mapping` assigns their columns to fields, and `values` converts the cells. `load` stores
rows while the next ones are read, and `rejected` keeps the rows that were not stored.
"""
