"""Measured answer quality as value objects: exits, exit paths, impairments, quality tables."""
