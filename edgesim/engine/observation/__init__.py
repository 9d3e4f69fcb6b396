"""What strategies see: devices and links at an instant, and reports of them that age."""
