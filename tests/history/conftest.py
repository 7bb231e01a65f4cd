"""A small HTTP server in a thread, since what is tested blocks."""

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest


@dataclass
class Asked:
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


@dataclass
class Web:
    """What the server answers, and what it was asked.

    ``answer(asked)`` gives a status, a body (bytes, or an object for JSON) and headers; or None, and then the
    connection is closed without a word.
    """

    answer: object = None
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    server: ThreadingHTTPServer | None = None
    open: list[socket.socket] = field(default_factory=list)

    def start(self, port=0):
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                parts = urlsplit(self.path)
                asked = Asked(parts.path, parse_qs(parts.query), dict(self.headers))
                web.asked.append(asked)
                answer = web.answer(asked)
                if answer is None:
                    self.close_connection = True
                    return
                status, body, headers = answer
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                cut = {"Content-Length"} & set(headers)
                headers = {"Content-Length": str(len(raw)), **headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)
                self.close_connection = "Content-Length" in cut

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def process_request(self, request, client_address):
                web.open.append(request)
                super().process_request(request, client_address)

            def handle_error(self, request, client_address):
                pass  # the client has gone, as some tests want

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.open.clear()
            self.server = None


def ok(data, **more):
    """A successful answer of Prometheus' API."""
    return 200, {"status": "success", "data": data, **more}, {}


def scalar(value="1"):
    return ok({"resultType": "scalar", "result": [1795347457.5, value]})


@pytest.fixture
def web():
    web = Web(lambda asked: scalar())
    web.start()
    yield web
    web.stop()
