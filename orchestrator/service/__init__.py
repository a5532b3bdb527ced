"""What an orchestrator process does: its tasks, its sweep, what it takes from plain Celery producers."""
