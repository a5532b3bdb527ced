"""Settings, tiers, the Celery app and its queues, and the data files."""
