"""A scenario as text: documents with places, overrides, and mistakes in plain words."""
