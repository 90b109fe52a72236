"""A real OpenAI-shaped HTTP service on 127.0.0.1, for tests.

    with Loopback(service(answers)) as server:
        ... server.url, server.seen ...

What it says comes from a callable on requests, so that a test can put faults in between.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vtune_client.dataset import Prompt
from vtune_client.provider import Decoding


@dataclass(frozen=True)
class Request:
    """What a client sent: headers by lower-case name, the body parsed where it is JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None


@dataclass(frozen=True)
class Reply:
    """What it gets: `body` as JSON, or as it is where it is bytes; after `delay_s`."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang_up: bool = False  # closes the connection in the middle of the body


Respond = Callable[[Request], Reply]
Answers = Callable[[str, Prompt, Decoding], str]  # model, prompt, decoding -> text


class Loopback:
    """Serves from `with` to its end; `seen` lists every request in order."""

    def __init__(self, respond: Respond) -> None:
        self.seen: list[Request] = []
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, respond))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def asked(self, path: str = "/v1/chat/completions") -> list[Request]:
        return [request for request in self.seen if request.path == path]


def service(
    answers: Answers, *, models: Iterable[str] | None = ("tuned", "base"), key: str | None = None
) -> Respond:
    """Return a service of these models (None: it lists none), guarded by `key` where given."""
    names = None if models is None else list(models)

    def respond(request: Request) -> Reply:
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            return refusal(401, "Incorrect API key provided.")
        if request.path == "/v1/models" and names is not None:
            listed = [{"id": name, "object": "model"} for name in names]
            return Reply(body={"object": "list", "data": listed})
        if request.path not in ("/v1/chat/completions", "/v1/completions"):
            return refusal(404, "Not found.")
        return _completion(request.body, answers)

    return respond


def first(replies: Sequence[Reply], then: Respond) -> Respond:
    """Return a service that gives `replies` to its first questions, then does as `then`."""
    left = list(replies)
    lock = threading.Lock()

    def respond(request: Request) -> Reply:
        with lock:
            if request.method == "POST" and left:
                return left.pop(0)
        return then(request)

    return respond


def refusal(status: int, message: str, **more: Any) -> Reply:
    headers = more.pop("headers", {})
    return Reply(status, {"error": {"message": message, **more}}, headers)


def local_answers(folders: Mapping[str, Path]) -> Answers:
    """Return the answers of real models, by name, that the local provider serves."""
    from vtune_providers.local.endpoint import LocalEndpoint

    lock = threading.Lock()
    served: dict[str, LocalEndpoint] = {}

    def answers(model: str, prompt: Prompt, decoding: Decoding) -> str:
        with lock:
            if model not in served:
                served[model] = LocalEndpoint()
                asyncio.run(served[model].acquire(str(folders[model])))
            return asyncio.run(served[model].sample([prompt], decoding))[0].text

    return answers


def _completion(body: Mapping[str, Any], answers: Answers) -> Reply:
    limit = body.get("max_completion_tokens") or body["max_tokens"]
    decoding = Decoding(limit, body["temperature"], body.get("seed"))
    if "prompt" in body:
        text = answers(body["model"], Prompt(text=body["prompt"]), decoding)
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop"}
        return Reply(body={"object": "text_completion", "choices": [choice]})
    prompt = Prompt(tuple(body["messages"]), tools=tuple(body.get("tools", ())))
    message = {"role": "assistant", "content": answers(body["model"], prompt, decoding)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return Reply(body={"object": "chat.completion", "choices": [choice]})


def _handler(server: Loopback, respond: Respond) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body go out apart: 40 ms a reply otherwise

        def do_GET(self) -> None:
            self._serve(None)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            is_json = "json" in self.headers.get("content-type", "")
            self._serve(json.loads(content) if is_json else content)

        def log_message(self, format: str, *args: Any) -> None: ...

        def _serve(self, body: Any) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            server.seen.append(request)
            reply = respond(request)
            server.stopping.wait(reply.delay_s)
            content = reply.body if isinstance(reply.body, bytes) else _json(reply.body)
            if "date" in reply.headers:
                self.send_response_only(reply.status)  # the other one tells the time itself
            else:
                self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if reply.hang_up:
                self.close_connection = True
                content = content[: len(content) // 2]
            self.wfile.write(content)

    return Handler


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()
