"""What a request's answer was worth: measured answers replayed, exits taken, harm done by channels."""
