"""A stub of bingo, the closed binary: it has the same command line, the same HTTP API and the same ways to fail.

It ships as one file, in place of the binary: these modules, which import each other relatively, and libraries of PyPI.
Whatever the binary does not read from its own configuration comes from environment variables BINGO_* (see `settings`).
"""
