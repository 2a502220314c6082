"""Scenarios that run inside the edge's image, each a function that returns what it observed."""
