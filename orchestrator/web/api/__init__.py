"""The HTTP API: one file a resource, each with its router."""
