"""Device memory: KV caches, admission of requests to them, and preemption."""
