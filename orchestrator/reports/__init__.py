"""What people are told of a job: report, progress, history, results."""
