"""`energy import`: files of readings, brought into the database in chunks that are committed whole.

`files` gives the rows of a file one by one, `mapping` says which of their columns is which field, `values` makes values
of them, `load` stores them while the next ones are read, `rejected` keeps what was not stored.
"""
