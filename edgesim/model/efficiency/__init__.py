"""Efficiency of engines on devices: posterior of the shares of datasheet peaks and of call overheads."""
