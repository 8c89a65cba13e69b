"""`energy archive`: chunks of the histories as Parquet, verified before retention may drop them, and back again.

`places` is where files lie, `parquet` what is in one, `manifest` what is written beside it, `chunks` what the database
says and does, `run`, `verify` and `restore` the three things done with them.
"""
