"""A story of the edge that passes on bytes, and tells with which requests the application was asked.

Each line of its input is one exchange, `{"tls": bool, "data": base64}`; it answers with a line that holds the bytes
that came back and the requests that the application got meanwhile, as they came.
"""

STORY = '''
import base64

seen = []
END_STREAM, RST_STREAM, GOAWAY = 1, 3, 7

def reply(made, status, *headers):
    lines = "".join(f"{header}\\r\\n" for header in (*headers, "Content-Length: 0", "Connection: close"))
    made.sendall(f"HTTP/1.1 {status} Answer\\r\\n{lines}\\r\\n".encode())

def record(made):
    with made, made.makefile("rb") as reader:
        head = b""
        while not head.endswith(b"\\r\\n\\r\\n"):
            line = reader.readline()
            if not line:
                return
            head += line
        if b"x-request-id" not in head.lower():
            return reply(made, 200)  # an edge asks how the machine is
        seen.append(head.decode("latin-1"))
        lines = [line.partition(b": ") for line in head.lower().split(b"\\r\\n")]
        reader.read(sum(int(value) for name, _, value in lines if name == b"content-length"))
        reply(made, 500, "Cache-Control: max-age=9")

def application(address, port):
    server = socket.create_server((address, port), backlog=1000)
    while True:
        made, _ = server.accept()
        threading.Thread(target=record, args=(made,), daemon=True).start()

def ended(data):
    """Whether a frame of HTTP/2 (RFC 9113, 4.1) ends the only stream."""
    while len(data) >= 9:
        length, kind, flags = int.from_bytes(data[:3], "big"), data[3], data[4]
        if kind in (RST_STREAM, GOAWAY) or (kind in (0, 1) and flags & END_STREAM):
            return True
        data = data[9 + length:]
    return False

def exchange(tls, data):
    made, answer = socket.create_connection((OWN, 443 if tls else 80), 10), b""
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        made = context.wrap_socket(made)
    with made:
        made.sendall(data)
        while not (tls and ended(answer)) and (part := made.recv(65536)):
            answer += part
    return answer

for address, port in (("127.0.0.2", 81), ("10.0.0.11", 8080), ("10.0.0.12", 8080)):
    run(f"ip address add {address}/32 dev lo || true")
    threading.Thread(target=application, args=(address, port), daemon=True).start()
configure(WHOLE | {"client_rate": 20000, "secrets": {"certificate": certificate()}})
until(lambda: ask("/-/health")[0] == 200)
for line in sys.stdin:
    asked = json.loads(line)
    seen.clear()
    try:
        answer = exchange(asked["tls"], base64.b64decode(asked["data"]))
    except OSError as error:
        answer = repr(error).encode()
    print(json.dumps({"answer": base64.b64encode(answer).decode(), "seen": seen}), flush=True)
os._exit(0)
'''
