"""Samovar bakes images, rolls out self-healing instance groups on Yandex Cloud, and embeds a local cloud."""

import os

# gRPC reads it when it is first imported, by whatever module. The error of a call says why it failed.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

__version__ = "0.1.0"
