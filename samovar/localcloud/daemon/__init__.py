"""The daemon is the process of one local cloud: it serves the API on two ports of loopback, and ends by a signal."""
