"""Path loss by environment: a file per kind of place."""
