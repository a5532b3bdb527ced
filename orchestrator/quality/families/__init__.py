"""Families: requests of one prompt and one form of answer, which get cheaper together."""
