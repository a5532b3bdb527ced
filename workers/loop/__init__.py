"""The one event loop of a worker process and what runs on it."""
