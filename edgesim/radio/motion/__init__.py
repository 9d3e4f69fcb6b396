"""Motion over time: positions of terminals, serving cells, outages, and recordings of these."""
