#!/bin/bash
# Made while baking, so that no boot makes them: the journal's catalogue, the linker's cache, the agent's byte code.
set -euo pipefail
journalctl --update-catalog
ldconfig
python3 -m compileall -q /usr/lib/samovar
