"""The event engine: stations, links, memory and the cluster's verbs, on SimPy."""
