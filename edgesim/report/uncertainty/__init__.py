"""Uncertainty of a run's metrics due to the fitted parameters of its devices."""
