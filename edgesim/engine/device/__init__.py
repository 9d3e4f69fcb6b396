"""A device at work: its stations, what passes cost there, and the work it is given."""
