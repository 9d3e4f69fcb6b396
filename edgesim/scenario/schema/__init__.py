"""Schema of scenario files: one module per section."""
