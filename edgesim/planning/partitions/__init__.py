"""Partitions of edgesim, one per file: a partition is named after its file, with - for _."""
