"""Built-in arrival processes, one module each, named as in scenarios."""
