"""The door through which Packer comes to a machine: it waits until that listens, and leads to SSH alone."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import closing

import pytest

from samovar.images.packer.ssh_proxy import OPEN, REFUSED, Door, door

PATIENCE = 60.0


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
        return port


def knock(through: Door, password: str, methods: bytes = bytes((0, 2))) -> tuple[socket.socket, bytes]:
    """As Packer's library does it; the connection, and the last answer."""
    client = socket.create_connection(("127.0.0.1", through.port), timeout=PATIENCE)
    client.sendall(bytes((5, len(methods))) + methods)
    answer = client.recv(2)
    if answer == bytes((5, 2)):
        client.sendall(bytes((1, 7)) + b"samovar" + bytes((len(password),)) + password.encode())
        answer = client.recv(2)
    return client, answer


def ask(through: Door, port: int, address: str = "127.0.0.1", command: int = 1) -> socket.socket:
    client, answer = knock(through, through.password)
    assert answer == bytes((1, 0))
    client.sendall(bytes((5, command, 0, 1)) + socket.inet_aton(address) + struct.pack("!H", port))
    return client


def echo(listener: socket.socket) -> None:
    """One connection, until its end."""
    machine, _ = listener.accept()
    with machine:
        while data := machine.recv(100):
            machine.sendall(data)


def test_it_waits_for_a_machine_that_does_not_listen_yet_and_passes_both_ways() -> None:
    port = free_port()
    with door(port) as through, ask(through, port) as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(10)
        client.settimeout(PATIENCE)
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        assert client.recv(10) == OPEN
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        listener.close()


def test_the_end_of_a_machine_is_the_end_of_the_connection() -> None:
    port = free_port()
    with door(port) as through, socket.create_server(("127.0.0.1", port)) as listener, ask(through, port) as client:
        machine, _ = listener.accept()
        assert client.recv(10) == OPEN
        machine.close()
        assert client.recv(1) == b""


def test_another_port_and_another_command_are_refused() -> None:
    with door() as through:
        for client in (ask(through, 80), ask(through, 22, command=2)):
            with client:
                assert client.recv(10) == REFUSED


@pytest.mark.parametrize("methods", [bytes((0,)), bytes((1,)), b""])
def test_who_offers_no_password_is_not_served(methods: bytes) -> None:
    with door() as through:
        client, answer = knock(through, "", methods)
        with client:
            assert answer == bytes((5, 0xFF))
            assert client.recv(1) == b""


@pytest.mark.parametrize("password", ["", "wrong", "x" * 32, "x" * 255])
def test_another_password_is_refused(password: str) -> None:
    with door() as through:
        client, answer = knock(through, password)
        with client:
            assert answer == bytes((1, 1))
            assert client.recv(1) == b""
    assert through.password not in repr(through)
