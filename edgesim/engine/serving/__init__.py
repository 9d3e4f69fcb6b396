"""Serving disciplines of devices: one file per discipline."""
