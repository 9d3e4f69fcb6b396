"""Who may send when, and in how much of the band: slots, grants, duplex, contention."""
