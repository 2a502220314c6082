"""Zones and types of disk: there is a fixed list of each."""
