"""Answer quality per request: replayed measured answers, early exits, and channel impairments."""
