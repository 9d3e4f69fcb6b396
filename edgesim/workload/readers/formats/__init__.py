"""Public formats of recorded requests, a file each; its name is the format's in scenarios."""
