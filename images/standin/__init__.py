"""A stand-in for bingo, the closed binary: the same command line, the same HTTP face, the same ways to fail.

It ships as one file, of which nothing else knows that it is not the real one (`samovar.images.zipapp` makes it): these
modules, importing each other relatively, and a few pure libraries of PyPI. All beyond what the binary is known to read
comes from environment variables BINGO_* (see `tuning`).
"""
