"""Published rates that the project knows, beside what it predicts of them."""
