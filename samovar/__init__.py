"""Samovar bakes images, rolls out self-healing instance groups on Yandex Cloud, and embeds a local cloud."""

import os

# gRPC reads these when it is first imported, by whatever module. It would start its threads again in every child that
# `sh` forks, on descriptors that are closed there, and abort it. What it logs is said better by the error of a call.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

__version__ = "0.1.0"
