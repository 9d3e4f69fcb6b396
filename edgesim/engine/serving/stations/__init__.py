"""Stations of edgesim's own serving disciplines, a module each, named as the discipline (``_`` for ``-``)."""
