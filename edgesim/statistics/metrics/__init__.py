"""edgesim's metrics: one module per metric or family, named after it."""
