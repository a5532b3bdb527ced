"""The Celery app, its broker, its tasks and its liveness."""
