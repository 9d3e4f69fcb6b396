"""Medium access: when a device may send and in how much of the band (slots, grants, duplex, contention)."""
