"""Whether two answers in prose come to the same: a model judges, and its own error is measured and counted."""
