"""Plans as a planner model writes them."""
