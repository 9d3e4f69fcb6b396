"""Messages: hops of every kind, the routes' transport, and what reaches a request's source."""
