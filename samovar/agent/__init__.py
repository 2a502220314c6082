"""The node agent: a machine asks the metadata service what it is, and configures itself accordingly.

It ships in every image as the package `samovar_agent`, so it imports its own modules relatively, and besides them only
the standard library, PyYAML and Jinja2, which cloud-init brings along.
"""
