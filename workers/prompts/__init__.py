"""What a model is sent, built from a skill."""
