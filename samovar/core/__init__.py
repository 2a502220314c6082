"""The gateways to the outside world, one module each: processes, output, waiting, files, errors and exit codes."""
