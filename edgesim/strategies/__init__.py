"""The built-in strategies, each in a file of its own and found by entry point like anybody's."""
