"""Lateness of group members at a sum: probability laws, the mean maximum of several, fits to repeats."""
