"""Tools as agents: bounded functions that answer instead of a model, one a file."""
