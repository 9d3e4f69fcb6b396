"""What a request's answer was worth: measured answers replayed, exits taken, impairments by channels."""
