"""Snapshots: copies of disks, each of one moment."""
