"""How far predictions agree with what was measured elsewhere, here, or by another simulator: a room for each."""
