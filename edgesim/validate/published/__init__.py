"""Compare predictions with published rates."""
