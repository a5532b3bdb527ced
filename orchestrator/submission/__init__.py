"""What comes in: items, run requests, what may be asked for."""
