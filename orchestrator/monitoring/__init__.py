"""A deployment as monitors see it."""
