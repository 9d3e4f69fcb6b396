"""Link adaptation: schemes, error rates and retransmissions at a signal-to-noise ratio, by standard."""
