"""Plans: compiled, shaped by patterns, written by a planner, carried over barriers."""
