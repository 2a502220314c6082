"""Failure scenarios, the load generator and their report: the layer that breaks an environment on purpose."""
