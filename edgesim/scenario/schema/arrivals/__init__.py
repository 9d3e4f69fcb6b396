"""Arrival processes, a file each; its name is the process's in scenarios."""
