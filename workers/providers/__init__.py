"""The seam to model providers: calls, replies, errors, ways to ask for JSON."""
