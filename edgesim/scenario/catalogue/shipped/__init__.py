"""Catalogues that come with edgesim, a module each."""
