"""edgesim's own serving disciplines as values, a module each, named as in scenarios (``_`` for ``-``)."""
