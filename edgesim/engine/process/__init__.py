"""Processes and time: the clock on SimPy's heap, interruptions, and what a verb returns."""
