"""The gateways to the world outside, one each: processes, output, waiting, errors and exit codes."""
