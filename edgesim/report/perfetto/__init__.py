"""Export of a run to Perfetto: slices, counters and flows on tracks."""
