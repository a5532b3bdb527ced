"""JSON Schemas as people write them: one maker of validators, bounded, that fetches nothing."""
