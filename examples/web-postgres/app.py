"""A guestbook: GET / lists what was written, PUT /<text> writes."""

import os
from queue import LifoQueue

import psycopg2
from flask import Flask

app = Flask(__name__)
# So many connections at most, each None until it is needed. What finds none free waits.
pool = LifoQueue()
for _ in range(8):
    pool.put(None)


@app.get("/healthz")
def health():
    """The application is well, also while its database is away."""
    return "well"


@app.get("/")
def entries():
    return [text for (text,) in ask("SELECT text FROM entries ORDER BY text LIMIT 100")]


@app.put("/<text>")
def write(text):
    ask("INSERT INTO entries VALUES (%s) ON CONFLICT DO NOTHING RETURNING text", text)
    return entries()


def ask(statement, *values):
    """A connection that broke is closed: its request fails, and the next one makes another."""
    connection = pool.get(timeout=5)
    try:
        if connection is None or connection.closed:
            connection = connect()
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()
    finally:
        pool.put(connection)


def connect():
    """A server that lost its power says nothing: what it does not acknowledge within three seconds is given up."""
    limits = {"tcp_user_timeout": 3000, "keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 3}
    connection = psycopg2.connect(os.environ["DATABASE_URL"], connect_timeout=5, **limits)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(1)")  # several connections may begin at once
        cursor.execute("CREATE TABLE IF NOT EXISTS entries (text text PRIMARY KEY)")
    connection.autocommit = True
    return connection
