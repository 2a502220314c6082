"""The node agent: it reads from the metadata service what the machine is, and configures it accordingly.

It ships in every image as the package `samovar_agent`, so it imports its own modules relatively, and besides them only
the standard library, PyYAML and Jinja2, which cloud-init brings along.
"""
