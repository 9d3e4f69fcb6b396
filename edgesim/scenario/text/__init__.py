"""Scenario text: YAML documents with positions, overrides, and readable error messages."""
