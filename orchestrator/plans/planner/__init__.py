"""The planner: a goal in plain words becomes a plan, by a subtask on the orchestrator's tier."""
