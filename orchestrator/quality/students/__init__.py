"""Students: small classifiers that learn a job's closed answers from its higher tiers, and serve within a promise."""
