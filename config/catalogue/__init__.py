"""Skills, workflows, profiles and tools as files: read, checked, found by name."""
