"""The trace: its schema, the one buffer it is written through, the reader, and the laws it obeys."""
