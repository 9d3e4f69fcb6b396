"""Energy during a run: energy drawn by devices, and batteries that empty."""
