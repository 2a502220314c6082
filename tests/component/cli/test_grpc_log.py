"""gRPC writes nothing into an operator's terminal."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.checkout import ROOT

IDLE = """
import time
from concurrent.futures import ThreadPoolExecutor

import samovar.images.publish
import grpc

server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.max_connection_idle_ms", 1000)])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
grpc.channel_ready_future(channel).result(60)
while channel._channel.check_connectivity_state(False) == grpc.ChannelConnectivity.READY.value[0]:
    time.sleep(0.1)
server.stop(None)
"""
"""A module whose own imports begin with gRPC's, and a server that ends an idle connection as the local cloud's does."""


def test_an_idle_connection_that_ends_writes_nothing_to_the_terminal() -> None:
    variables = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    command = [sys.executable, "-c", IDLE]
    ended = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stderr == ""
