"""Storage of quantised weights, and its description in a model's config."""
