"""What a scenario may contain: a file per part."""
