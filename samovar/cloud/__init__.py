"""The gateway to the API: session, operations, errors, labels. No layer above asks which cloud it is."""

import os

from samovar.cloud.connection import trust_loopback

# gRPC reads these when it is imported: by a module of this package, or by one that comes later.
trust_loopback()
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the error of a call says why it failed
