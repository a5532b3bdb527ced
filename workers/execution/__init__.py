"""A batch on its way through a worker: calls, checks, verdicts."""
