"""Causality of data: the location of a request's data, and the needs and effects of verbs."""
