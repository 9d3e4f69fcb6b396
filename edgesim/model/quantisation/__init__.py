"""How quantised weights are stored, and how a model's config says so."""
