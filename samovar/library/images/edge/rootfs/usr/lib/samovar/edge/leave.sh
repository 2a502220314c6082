#!/bin/sh
# Says to the balancer and to the other edges that this one leaves, and serves on until all of them have heard.
set -eu
: >/run/edge-leaving
sleep "${DRAIN:?}"
