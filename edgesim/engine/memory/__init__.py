"""Memory at work: KV caches, who is admitted to them, and who is preempted."""
