"""The watchdog of a bingo machine restarts a bingo that is unhealthy, and serves the health page of the machine.

It ships in the image as the package `bingo_watchdog`: its modules import each other relatively, and besides them the
standard library alone.
"""
