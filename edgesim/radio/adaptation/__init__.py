"""What a signal-to-noise ratio is worth: schemes, error rates, retransmissions, by standard."""
