"""How devices serve several requests: a file per discipline."""
