"""What runs in a tier's pool: prompt, gateway, checks, verdict."""
