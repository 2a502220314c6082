"""The watchdog of a bingo node: sees bingo's ways to fail that do not end it, and tells who asks how the machine is.

It ships in the image as the package `bingo_watchdog`: its modules import each other relatively, and besides them the
standard library alone.
"""
