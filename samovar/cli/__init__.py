"""The command line: each command parses its arguments, calls one function and shows the result.

What takes long to load is imported by the command that needs it, so that `--help` is quick.
"""
