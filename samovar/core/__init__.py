"""The gateways to the outside world, one module each: processes, output, waiting, files, errors and exit codes."""

import os

# gRPC would start its threads again in every child that `sh` forks, on descriptors that are closed there, and abort it.
# It reads this when it is imported, and every program of ours imports this package first.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
