"""The HTTP API and the web pages, from one process."""
