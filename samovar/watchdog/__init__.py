"""The watchdog restarts an application that is unhealthy, and serves the health page of its machine.

It ships in the image `samovar/app` as the package `samovar_watchdog`: its modules import each other relatively, and
besides them the standard library alone.
"""
