"""What processes share in Redis: keys, connections, budget counters."""
