"""Gateways and route tables: the way out for machines that have no public address."""
