"""Answers with its name and the client's address, over HTTP and UDP. Usage: whoami_server.py NAME PORT."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


class Echo(asyncio.DatagramProtocol):
    """Answers each datagram."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, _: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(f"{self._name} {addr[0]}".encode(), addr)


async def main(name: str, port: int) -> None:
    """Serve until it is killed; `ready` on stdout says that it listens."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                body = f"{name} {writer.get_extra_info('peername')[0]}".encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Echo(name), local_addr=("0.0.0.0", port))
    server = await asyncio.start_server(serve, "0.0.0.0", port, backlog=1000)
    print("ready", flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
