"""A service of Together's shape on 127.0.0.1, as its SDK's version 3 expects one.

What it answers is put together anew at every request from `jobs`, `files` and `answer`; `says` puts
a reply of the test's own in front, by method and path.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

KEY = "tgp-0123456789abcdef"
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"
HARDWARE = "1xnvidia-h100-80gb"

LIMITS: Mapping[str, Any] = {
    "model_name": MODEL,
    "max_num_epochs": 10,
    "min_learning_rate": 1e-8,
    "max_learning_rate": 1e-2,
    "max_num_checkpoints": 5,
    "max_num_evals": 10,
    "max_seq_length_sft": 8192,
    "max_seq_length_dpo": 4096,
    "min_max_seq_length": 256,
    "supports_full_training": False,
    "lora_training": {
        "default_rank": 16,
        "max_rank": 64,
        "min_batch_size": 8,
        "max_batch_size": 32,
        "max_batch_size_dpo": 16,
    },
}


@dataclass(frozen=True)
class Said:
    """A request: the path without its query, the body as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False  # no answer at all


Answer = Callable[[Said], Reply]


class Vendor:
    """Serves from `with` to its end; `seen` lists every request in order."""

    def __init__(self) -> None:
        self.seen: list[Said] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.unread = 0  # how often a file is said to be still looked into
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.starting = 1  # how often a deployment is said to be still starting
        self.stopping = 1  # how often one cannot be deleted yet
        self._says: dict[tuple[str, str], list[Reply | Answer]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def says(self, method: str, path: str, *replies: Reply | Answer) -> None:
        """Answer so, one after another, the last for ever."""
        self._says[method, path] = list(replies)

    def asked(self, method: str, path: str) -> list[Said]:
        return [said for said in self.seen if (said.method, said.path) == (method, path)]

    def deployments(self) -> list[dict[str, Any]]:
        """What is rented now."""
        standing = (each["deployments"] for each in self.endpoints.values())
        return [dep for each in standing for dep in each if dep["replicas"]]

    def respond(self, said: Said) -> Reply:
        self.seen.append(said)
        queue = self._says.get((said.method, said.path))
        if queue:
            reply = queue.pop(0) if len(queue) > 1 else queue[0]
            return reply if isinstance(reply, Reply) else reply(said)
        if not said.path.startswith("/store/"):
            if said.headers.get("authorization") != f"Bearer {KEY}":
                return refusal(401, f"Invalid API key provided: {KEY[:8]}")
        elif "authorization" in said.headers:
            return refusal(400, "The storage takes no key.")
        for pattern, answer in _ROUTES:
            if match := re.fullmatch(pattern, f"{said.method} {said.path}"):
                return answer(self, said, *match.groups())
        return refusal(404, "Not found.")


def refusal(status: int, message: str, **headers: str) -> Reply:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None}}
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def job(job_id: str, status: str = "running", **more: Any) -> dict[str, Any]:
    return {
        "id": job_id,
        "status": status,
        "user_id": "u-1",
        "created_at": "2026-11-20T10:00:00Z",
        "updated_at": "2026-11-20T10:00:00Z",
        "model": MODEL,
        **more,
    }


def chat(text: str, **choice: Any) -> Reply:
    message = {"role": "assistant", "content": text}
    return Reply(
        body={"id": "1", "choices": [{"message": message, "finish_reason": "stop", **choice}]}
    )


def _place(vendor: Vendor, said: Said) -> Reply:
    file_id = f"file-{len(vendor.files) + 1}"
    address = f"{vendor.url}/store/{file_id}?signature=sealed"
    return Reply(302, b"", {"Location": address, "X-Together-File-Id": file_id})


def _store(vendor: Vendor, said: Said, file_id: str) -> Reply:
    vendor.files[file_id] = said.content
    return Reply(200)


def _file(vendor: Vendor, said: Said, file_id: str) -> Reply:
    if file_id not in vendor.files:
        return refusal(404, "No such file.")
    vendor.unread -= 1
    status = "RUNNING" if vendor.unread >= 0 else "COMPLETED"
    return Reply(body={"id": file_id, "object": "file", "processing_status": status})


def _delete_file(vendor: Vendor, said: Said, file_id: str) -> Reply:
    if vendor.files.pop(file_id, None) is None:
        return refusal(404, "No such file.")
    return Reply(body={"id": file_id, "deleted": True})


def _limits(vendor: Vendor, said: Said) -> Reply:
    return Reply(body=LIMITS) if said.query["model_name"] == MODEL else refusal(404, "No model.")


def _price(vendor: Vendor, said: Said) -> Reply:
    answer = {
        "estimation_available": True,
        "allowed_to_proceed": True,
        "estimated_total_price": 4.5,
        "estimated_train_token_count": 1200.0,
    }
    return Reply(body=answer)


def _create(vendor: Vendor, said: Said) -> Reply:
    job_id = f"ft-{len(vendor.jobs) + 1}"
    kept = {name: said.body[name] for name in ("training_file", "suffix", "n_epochs")}
    vendor.jobs[job_id] = job(job_id, "pending", **kept)
    return Reply(body=vendor.jobs[job_id])


def _list_jobs(vendor: Vendor, said: Said) -> Reply:
    return Reply(body={"data": list(vendor.jobs.values())})


def _job(vendor: Vendor, said: Said, job_id: str) -> Reply:
    found = vendor.jobs.get(job_id)
    return Reply(body=found) if found else refusal(404, "No such job.")


def _cancel(vendor: Vendor, said: Said, job_id: str) -> Reply:
    if job_id not in vendor.jobs:
        return refusal(404, "No such job.")
    if vendor.jobs[job_id]["status"] == "completed":
        return refusal(400, "The job has ended.")
    vendor.jobs[job_id]["status"] = "cancel_requested"
    return Reply(body=vendor.jobs[job_id])


def _whoami(vendor: Vendor, said: Said) -> Reply:
    return Reply(body={"type": "project_api_key", "project": {"id": "proj-1", "slug": "acme"}})


def _models(vendor: Vendor, said: Said, project: str) -> Reply:
    tuned = {
        "id": "ml_1",
        "name": "acme/tuned",
        "projectId": project,
        "baseModel": "projects/p/models/b",
    }
    return Reply(body={"data": [tuned]})


def _configs(vendor: Vendor, said: Said, project: str) -> Reply:
    if said.query.get("referenceModel") != "projects/p/models/b":
        return Reply(body={"data": []})
    selectors = [
        {"key": "accelerator_count", "value": "1"},
        {"key": "accelerator_type", "value": "nvidia-h100-80gb"},
    ]
    return Reply(body={"data": [{"id": "cr_1", "projectId": "p", "selectors": selectors}]})


def _supported(vendor: Vendor, said: Said) -> Reply:
    profile = {
        "model": "projects/p/models/b/revisions/rv_1",
        "config": "projects/p/configs/cr_1",
        "gpuCount": 1,
        "gpuType": "nvidia-h100-80gb",
    }
    listed = (
        [{"name": MODEL, "deploymentProfiles": [profile]}] if said.query["search"] == MODEL else []
    )
    return Reply(body={"data": listed})


def _make_endpoint(vendor: Vendor, said: Said, project: str) -> Reply:
    made: dict[str, Any] = {
        "id": f"ep_{len(vendor.endpoints) + 1}",
        "name": f"acme/{said.body['name']}",
        "deployments": [],
        "trafficSplit": [],
    }
    vendor.endpoints[made["id"]] = made
    return Reply(body=made)


def _list_endpoints(vendor: Vendor, said: Said, project: str) -> Reply:
    wanted = said.query.get("filter", "").removeprefix('name="').rstrip('"')
    listed = [each for each in vendor.endpoints.values() if each["name"].endswith(f"/{wanted}")]
    return Reply(body={"data": listed})


def _endpoint(vendor: Vendor, said: Said, project: str, endpoint: str) -> Reply:
    found = vendor.endpoints.get(endpoint)
    if not found:
        return refusal(404, "No such endpoint.")
    if said.method == "PATCH":
        found["trafficSplit"] = said.body["trafficSplit"]
    if said.method == "DELETE":
        if found["deployments"]:
            return refusal(409, "It has deployments.")
        del vendor.endpoints[endpoint]
        return Reply(body={})
    return Reply(body=found)


def _deploy(vendor: Vendor, said: Said, project: str, endpoint: str) -> Reply:
    body = said.body
    made: dict[str, Any] = {
        "id": "dep_1",
        "model": body["model"],
        "config": body["config"],
        "inactiveTimeout": body.get("inactiveTimeout"),
        "replicas": body["autoscaling"]["minReplicas"],
    }
    vendor.endpoints[endpoint]["deployments"].append(made)
    return Reply(body=made)


def _deployment(vendor: Vendor, said: Said, project: str, endpoint: str, name: str) -> Reply:
    found = vendor.endpoints[endpoint]["deployments"][0]
    if said.method == "GET":
        vendor.starting -= 1
        state = "PROVISIONING" if vendor.starting >= 0 else "READY"
        return Reply(body={**found, "status": {"state": f"DEPLOYMENT_STATE_{state}"}})
    if said.method == "PATCH":
        found["replicas"] = said.body["autoscaling"]["maxReplicas"]
        return Reply(body=found)
    vendor.stopping -= 1
    if found["replicas"] or vendor.stopping >= 0:
        return refusal(400, "It must be stopped first.")
    vendor.endpoints[endpoint]["deployments"].clear()
    return Reply(body={})


_AT = r"/v2/projects/([^/]+)"
_ROUTES: list[tuple[str, Callable[..., Reply]]] = [
    (r"POST /v1/files", _place),
    (r"PUT /store/([^/]+)", _store),
    (r"POST /v1/files/([^/]+)/preprocess", _file),
    (r"GET /v1/files/([^/]+)", _file),
    (r"DELETE /v1/files/([^/]+)", _delete_file),
    (r"GET /v1/fine-tunes/models/limits", _limits),
    (r"POST /v1/fine-tunes/estimate-price", _price),
    (r"POST /v1/fine-tunes", _create),
    (r"GET /v1/fine-tunes", _list_jobs),
    (r"GET /v1/fine-tunes/([^/]+)", _job),
    (r"POST /v1/fine-tunes/([^/]+)/cancel", _cancel),
    (r"GET /v3/whoami", _whoami),
    (rf"GET {_AT}/models", _models),
    (rf"GET {_AT}/configs", _configs),
    (r"GET /v2/supported-models", _supported),
    (rf"POST {_AT}/endpoints", _make_endpoint),
    (rf"GET {_AT}/endpoints", _list_endpoints),
    (rf"(?:GET|PATCH|DELETE) {_AT}/endpoints/([^/]+)", _endpoint),
    (rf"POST {_AT}/endpoints/([^/]+)/deployments", _deploy),
    (rf"(?:GET|PATCH|DELETE) {_AT}/endpoints/([^/]+)/deployments/([^/]+)", _deployment),
]


def _handler(vendor: Vendor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = vendor.respond(Said(self.command, parts.path, query, headers, content))
            if reply.hang_up:
                self.close_connection = True
                return
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if "content-length" not in reply.headers:
                self.send_header("content-length", str(len(body)))
            else:
                self.close_connection = True  # it promises more than it has
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None: ...

    return Handler
