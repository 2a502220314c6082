#!/bin/bash
# Makes the rows once, while baking: a cluster, filled by the application's prepare_db, that a machine only unpacks. The
# cluster has a network of its own: nobody can reach it, and two bakes side by side may have the same port.
set -euo pipefail
unshare --net --ipc --pid --fork --kill-child --mount-proc bash -eu -o pipefail /tmp/seed/cluster.sh
