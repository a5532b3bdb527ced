"""The truth: tables, and the only SQL."""
