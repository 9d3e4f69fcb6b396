"""Immutable description of the simulated world, shared by scenario, report and engine."""
