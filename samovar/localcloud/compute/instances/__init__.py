"""Instances: the machines of the cloud."""
