"""`energy archive`: chunks of the histories as Parquet, verified before retention may drop them, and their restoration.

places    files in a folder or in S3
parquet   the contents of a file
manifest  the record beside a file
chunks    the chunks in the database
run, verify, restore
"""
