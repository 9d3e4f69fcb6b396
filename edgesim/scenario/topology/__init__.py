"""Conversion of a scenario's topology, including graph files, to nodes and links."""
