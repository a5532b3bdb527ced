"""The nouns of Firstline: frozen pydantic models and enums that import nothing else of ours."""
