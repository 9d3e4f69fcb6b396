"""Conversion of a scenario's radio and mobility sections to channels and cells."""
