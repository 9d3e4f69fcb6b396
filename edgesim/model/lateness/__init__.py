"""How late a member of a group is at a sum: laws, what the latest of several is, and fits to repeats."""
