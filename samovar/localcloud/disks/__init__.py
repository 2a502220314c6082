"""Disks are RAW files: a builder makes and copies them, loop devices attach them, a freeze holds them still."""
