"""Providers' Batch APIs, each in its own wire format: requests handed in, looked after, and read line by line."""
