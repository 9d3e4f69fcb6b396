"""Path loss models, one file per type of environment."""
