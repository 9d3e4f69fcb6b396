"""Generation with early exits: a model whose tokens exit early, and the quality of its answers."""
