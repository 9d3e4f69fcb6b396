"""From a scenario's topology, or a graph file, to nodes and links."""
