"""Energy during a run: what devices have drawn, and batteries that empty."""
