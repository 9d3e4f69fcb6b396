"""Generation in which tokens leave early: a model that does so, and what becomes of its answers."""
