"""Shapes of plans, one a file: functions that build their steps, and what the engine does for them at a barrier."""
