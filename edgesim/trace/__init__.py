"""The trace of a run: schema, buffers, writer, reader, and the laws that every trace must obey."""
