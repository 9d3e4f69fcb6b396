"""Catalogues shipped with edgesim, one module each."""
