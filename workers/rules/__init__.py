"""Pure rules that workers and orchestrators share."""
