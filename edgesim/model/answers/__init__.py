"""Measured answers as values: exits, paths through them, impairments, tables of quality."""
