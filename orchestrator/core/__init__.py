"""What all of the orchestrator stands on: its context, the ladder, names, counters."""
