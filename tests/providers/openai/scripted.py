"""A real HTTP service on 127.0.0.1 that says what a test tells it to, and notes what it was sent.

    with Scripted({"GET /v1/models/m": Reply(body={...})}) as server:
        ... server.url, server.seen ...

A route holds one reply, a list (each given once, the last for ever), or a callable on requests.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback import Reply, refusal


@dataclass(frozen=True)
class Sent:
    """What came in: `query` with one value per name, headers by lower-case name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def body(self) -> Any:
        return json.loads(self.content)


Route = Reply | list[Reply] | Callable[[Sent], Reply]


@dataclass
class Scripted:
    routes: dict[str, Route]
    root: str = ""
    seen: list[Sent] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    go_on: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def sent(self, route: str) -> list[Sent]:
        return [sent for sent in self.seen if sent.route == route]

    def stalled(self, reply: Reply) -> Reply:
        """Return `reply` once the test sets `go_on`, or is over."""
        self.go_on.wait()
        return reply

    def reply(self, sent: Sent) -> Reply:
        with self.lock:
            self.seen.append(sent)
            route = self.routes.get(sent.route, refusal(404, "Not found."))
            if isinstance(route, list):
                return route.pop(0) if len(route) > 1 else route[0]
        return route if isinstance(route, Reply) else route(sent)


@contextmanager
def scripted(routes: Mapping[str, Route]) -> Iterator[Scripted]:
    script = Scripted(dict(routes))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    server.daemon_threads = True
    script.root = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield script
    finally:
        script.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(script: Scripted) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None: ...

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = script.reply(Sent(self.command, parts.path, query, headers, content))
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            if reply.hang_up or script.go_on.is_set():  # nobody listens any more
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {"content-type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def job(**changes: Any) -> dict[str, Any]:
    """Return a job's payload as OpenAI gives it."""
    return {
        "object": "fine_tuning.job",
        "id": "ftjob-1",
        "created_at": 1_760_000_000,
        "model": "gpt-4.1-mini-2025-04-14",
        "status": "running",
        "training_file": "file-1",
        "fine_tuned_model": None,
        "result_files": [],
        "metadata": {},
        "error": None,
        **changes,
    }


def listed(*items: Any, more: bool = False) -> Reply:
    return Reply(body={"object": "list", "data": list(items), "has_more": more})
