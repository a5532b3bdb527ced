"""Trying things out on real samples before trusting them: comparing, calibrating, improving, trying."""
