"""Failures and repairs of devices and links during a run."""
