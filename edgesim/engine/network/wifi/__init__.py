"""Wi-Fi, exchange by exchange: contenders, their backoffs, bursts and frames."""
