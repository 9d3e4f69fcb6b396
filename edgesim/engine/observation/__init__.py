"""Observations of strategies: the state of devices and links at an instant, and reports that age."""
