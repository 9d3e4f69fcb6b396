"""Sums of a group's tensors in a band: over the air or in parts of it, and how wrong they are."""
