"""Compare predictions with published and local measurements, and with other simulators."""
