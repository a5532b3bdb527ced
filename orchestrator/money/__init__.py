"""Budgets, estimates and what was spent."""
