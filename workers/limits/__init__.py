"""Limits that all workers share: pace, places, cool-downs, money."""
