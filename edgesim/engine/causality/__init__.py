"""Causality of data: where a request's data lie, what verbs need there, and what they leave."""
