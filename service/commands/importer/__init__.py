"""`energy import`: files of readings, stored in chunks that are committed as a whole.

`presets` is the table of sources. `source` opens a file by its options and preset, through `files`, which opens each
format as rows. `mapping` assigns their columns to fields, and `values` converts the cells. `load` stores rows while the
next ones are read, and `rejected` keeps the rows that were not stored. `explain` shows all that without a database.
"""
