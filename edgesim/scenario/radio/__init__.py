"""From what a scenario says of radios and movement to channels and cells."""
