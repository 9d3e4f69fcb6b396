"""Reports of explanations of latencies: tables and JSON."""
