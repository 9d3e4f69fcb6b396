"""Devices: stations, prices of passes, and the work that they serve."""
