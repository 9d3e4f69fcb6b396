"""What is said of why requests took their time: tables, and JSON."""
