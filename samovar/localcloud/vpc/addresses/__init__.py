"""Addresses: which are reserved, which are in use, and which are free."""
