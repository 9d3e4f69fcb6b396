"""A run as Perfetto opens it: slices, counters and flows on tracks."""
