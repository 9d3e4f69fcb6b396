"""Processes and time: the clock on SimPy's heap, interruptions, and the return values of verbs."""
