"""Messages: hops of every kind, transport along routes, and delivery at a request's source."""
