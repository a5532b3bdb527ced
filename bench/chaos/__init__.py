"""Breaks a running deployment in every way it is built for, and counts what was lost and what was paid twice.

    python -m bench.chaos [--quick] [--json] [--database sqlite|postgresql] [--redis BINARY] [--only NAME]

Real processes: Redis with its append-only file, orchestrators, workers, a simulated provider. Each scenario is one job;
what became of it is read from the database and from the provider's own log alone. At the end of each all processes have
to be there, take messages and hold none.
"""
