"""Keeps the probes of every balancer's targets, and says which of them may be sent to."""
