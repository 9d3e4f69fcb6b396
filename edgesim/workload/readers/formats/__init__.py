"""Public formats of recorded requests, one file each; the file's name is the format's name in scenarios."""
