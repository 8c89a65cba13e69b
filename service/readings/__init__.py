"""The wire format of readings, without I/O."""
