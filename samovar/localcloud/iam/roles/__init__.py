"""Roles: what an access binding may name."""
