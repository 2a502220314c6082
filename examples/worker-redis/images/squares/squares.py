#!/usr/bin/python3
"""Squares numbers: with a PORT it takes them over HTTP and puts them into a list of Redis, without one it works."""

import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redis import Redis

redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


class Web(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/healthz":
            self.answer("well")
        elif self.path == "/":
            self.answer(f"{redis.hlen('squares')} squares")
        else:
            self.answer(redis.hget("squares", self.path[1:]) or "not yet")

    def do_POST(self):
        number = int(self.rfile.read(int(self.headers["Content-Length"])))
        redis.lpush("numbers", number)
        self.answer("taken")

    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())


def work():
    """A number stays in a list of the machine's own until it is squared: one that died takes it up again."""
    mine = f"numbers of {socket.gethostname()}"
    while redis.rpoplpush(mine, "numbers"):
        pass
    while True:
        number = redis.brpoplpush("numbers", mine, timeout=5)
        if number:
            redis.hset("squares", number, int(number) ** 2)
            redis.lrem(mine, 1, number)


if port := os.environ.get("PORT"):
    ThreadingHTTPServer(("", int(port)), Web).serve_forever()
else:
    work()
