"""Metrics, a file each: the file is named as its metric, or as the family of metrics in it."""
