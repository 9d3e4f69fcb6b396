"""What engines make of devices: shares of datasheet peaks, and overheads, as a set of likely values."""
