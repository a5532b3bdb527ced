"""Choosing the cheapest pipeline from answers on the same rows, and certifying it on rows of its own."""
