"""Sums of a group's tensors in a radio band, over the air or in separate parts of it, and their errors."""
