"""Built-in link-rate models, one module each, named as in scenarios and catalogues."""
