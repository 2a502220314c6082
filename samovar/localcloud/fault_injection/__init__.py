"""Refusals, delays and failures that a client may meet on a large cloud: on request, or by a profile."""
