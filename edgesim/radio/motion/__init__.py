"""Where terminals are, which cell serves them, what is down when; and recordings of these."""
