from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.memory import BASE, Service
from tests.serving import Server, serving
from vtune_client.errors import InputError
from vtune_client.serve.config import ServeConfig
from vtune_client.serve.run import Running, check_host
from vtune_client.serve.service import Service as Serving

KEY: Mapping[str, str] = {"authorization": "Bearer sk-test"}


def asked(url: str, method: str = "GET", **more: Any) -> httpx.Response:
    with httpx.Client(trust_env=False) as http:
        return http.request(method, url, **more)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer sk-tes"},
        {"authorization": "Bearer sk-test2"},
        {"authorization": "Basic sk-test"},
        {"authorization": "Bearer"},
        {"authorization": b"Bearer sk-t\xe9st"},
        {"api-key": "sk"},
    ],
)
def test_without_a_key_nobody_is_let_in(server: Server, headers: Any) -> None:
    for path in ("/models", "/files", "/fine_tuning/jobs", "/unheard-of"):
        answer = asked(server.openai + path, headers=headers)
        assert answer.status_code == 401
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert "sk-test" not in answer.text


@pytest.mark.parametrize("headers", [KEY, {"authorization": "bearer other"}, {"api-key": "other"}])
def test_any_of_the_keys_will_do(tmp_path: Path, memory: Service, headers: Any) -> None:
    keys = ("sk-test", "other")
    with serving(tmp_path, bases={"tiny": BASE}, provider="memory", keys=keys) as server:
        assert asked(f"{server.openai}/models", headers=headers).status_code == 200


def test_without_keys_everybody_on_this_machine_is(tmp_path: Path, memory: Service) -> None:
    with serving(tmp_path, bases={"tiny": BASE}, provider="memory", keys=()) as server:
        assert asked(f"{server.openai}/models").status_code == 200


@pytest.mark.parametrize(
    ("host", "keys", "good"),
    [
        ("127.0.0.1", (), True),
        ("127.8.8.8", (), True),
        ("::1", (), True),
        ("localhost", (), True),
        ("0.0.0.0", (), False),  # noqa: S104 - refused
        ("::", (), False),
        ("vendor.example", (), False),
        ("192.0.2.1", ("key",), True),
    ],
)
def test_without_keys_nobody_else_is(host: str, keys: tuple[str, ...], good: bool) -> None:
    if good:
        check_host(host, keys)
    else:
        with pytest.raises(InputError, match="VTUNE_SERVE_KEYS"):
            check_host(host, keys)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/unheard-of", 404), ("PUT", "/files", 405), ("GET", "/models/", 404)],
)
def test_a_wrong_path_is_told_in_the_shape(
    server: Server, method: str, path: str, status: int
) -> None:
    answer = asked(server.openai + path, method, headers=KEY)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"model": 1}', b"[" * 100_000, b"\xff\xfe"]
)
def test_a_body_that_is_none_is_refused(server: Server, body: bytes) -> None:
    for path in ("/chat/completions", "/fine_tuning/jobs", "/uploads"):
        answer = asked(server.openai + path, "POST", content=body, headers=KEY)
        assert answer.status_code == 400, answer.text


def test_a_body_without_end_is_refused(server: Server) -> None:
    answer = asked(
        f"{server.openai}/chat/completions", "POST", content=b" " * (9 << 20), headers=KEY
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=%C2%B2"])
def test_a_limit_that_is_none_is_refused(server: Server, query: str) -> None:
    for path in ("/files", "/fine_tuning/jobs"):
        assert asked(f"{server.openai}{path}?{query}", headers=KEY).status_code == 400


def test_a_bug_is_told_without_what_it_says(
    server: Server, memory: Service, caplog: pytest.LogCaptureFixture
) -> None:
    memory.faults = [ValueError("graceful chemist")]
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}
    answer = asked(f"{server.openai}/chat/completions", "POST", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "server_error")
    assert "chemist" not in answer.text
    assert "chemist" not in caplog.text


def test_a_wrong_value_is_not_repeated(server: Server) -> None:
    body = {"model": "tiny", "messages": "graceful chemist", "stop": ["graceful chemist"] * 9}
    answer = asked(f"{server.openai}/chat/completions", "POST", json=body, headers=KEY)
    assert answer.status_code == 400
    assert "chemist" not in json.dumps(answer.json())


def test_requests_are_seen(server: Server) -> None:
    asked(f"{server.openai}/models?limit=1", headers=KEY)
    assert server.requests[-1] == ("GET", "/v1/models")


def test_one_service_per_home(server: Server) -> None:
    with pytest.raises(InputError, match="Another service"):
        Serving(server.service.config)


def test_an_address_that_is_taken_is_told(server: Server, tmp_path: Path, memory: Service) -> None:
    config = ServeConfig(home=tmp_path / "two", bases={"tiny": BASE}, provider="memory")
    port = int(server.root.rpartition(":")[2])
    with pytest.raises(InputError, match="cannot be served on"):
        Running(Serving(config), "127.0.0.1", port)


@pytest.mark.parametrize(
    "wrong",
    [
        {"bases": {}},
        {"bases": {"../x": "x"}},
        {"bases": {"ft:x": "x"}},
        {"vendor": "unheard-of"},
        {"keys": ("",)},
        {"keys": ("schlüssel",)},
    ],
)
def test_a_configuration_that_is_wrong_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ServeConfig(**{"home": tmp_path, "bases": {"tiny": BASE}, **wrong})


def test_keys_are_not_shown(tmp_path: Path) -> None:
    config = ServeConfig(home=tmp_path, bases={"tiny": BASE}, keys=("sk-secret",))
    assert "sk-secret" not in repr(config)
