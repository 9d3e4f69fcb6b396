"""Memory at work: KV caches, which requests are admitted to them, and which are preempted."""
