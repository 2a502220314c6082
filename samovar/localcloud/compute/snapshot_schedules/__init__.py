"""Snapshot schedules: when snapshots of disks are taken, and how many of them are kept."""
