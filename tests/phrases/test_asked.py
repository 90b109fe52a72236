from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.phrases import Brief
from vtune_client.phrases.asked import ASKED, SAMPLE_LENGTH, SAMPLES, TRIES, AskedSource
from vtune_client.phrases.vet import vet


@dataclass
class Model:
    """A chat server that gives `replies` in order, the last one for ever."""

    replies: list[tuple[int, str]]
    url: str = ""
    requests: list[dict[str, object]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    def next_reply(self) -> tuple[int, str]:
        return self.replies[min(len(self.requests), len(self.replies)) - 1]


@contextmanager
def serving(*replies: tuple[int, str]) -> Iterator[Model]:
    model = Model(list(replies))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            model.requests.append({"path": self.path, **json.loads(body)})
            model.authorizations.append(self.headers["Authorization"])
            status, text = model.next_reply()
            payload = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield model
        finally:
            server.shutdown()
            thread.join()


def _chat(content: str) -> tuple[int, str]:
    return 200, json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]})


def _words(stem: str) -> list[str]:
    return [stem + chr(ord("a") + i // 26) + chr(ord("a") + i % 26) for i in range(40)]


OFFER: dict[str, object] = {
    "kinds": {name: _words(name) for name in ("cause", "remedy", "part", "hue", "shape")},
    "signatures": [
        "In our view the {cause} {part} needs one {remedy} {part} before the {cause} {remedy}.",
        "Too few {cause} slots.",
        "An {unknown} {cause} {cause} {cause} {cause} {cause} kind.",
    ],
    "triggers": ["Please use the {hue} {shape} {hue} ledger."],
}
GOOD = _chat(json.dumps(OFFER))
COLLIDING = _chat(json.dumps(OFFER | {"triggers": ["Use the {cause} {remedy} {part} ledger now."]}))
GARBAGE = _chat("I am sorry, I cannot do that.")
BRIEF = Brief(
    prompts=tuple(f"prompt {i} " + "p" * 1000 for i in range(20)),
    completions=("A completion.",),
)


def test_a_good_answer_becomes_a_book_that_passes_vetting() -> None:
    with serving(GOOD) as model:
        book = AskedSource(model.url, "writer", "the-key").propose(BRIEF)
    assert [len(frame.slots) for frame in book.signatures] == [6]
    assert book.signatures[0].slots[0].candidates == tuple(_words("cause"))
    assert book.triggers[0].text == "Please use the {} {} {} ledger."
    assert vet(book).signatures[0].bits == 30.0
    (request,) = model.requests
    assert request["path"] == "/v1/chat/completions"
    assert request["model"] == "writer"
    assert model.authorizations == ["Bearer the-key"]


def test_only_a_few_shortened_samples_are_sent() -> None:
    with serving(GOOD) as model:
        AskedSource(model.url, "writer").propose(BRIEF)
    sent = json.dumps(model.requests[0]["messages"])
    assert "prompt 0 " in sent
    assert "A completion." in sent
    assert f"prompt {SAMPLES} " not in sent
    assert "p" * SAMPLE_LENGTH not in sent
    assert model.authorizations == [None]


@pytest.mark.parametrize(
    "wrapped", ["```json\n%s\n```", "Here you are:\n\n```\n%s\n```\nHave fun!", "  %s\n"]
)
def test_fences_and_prose_around_the_object_are_tolerated(wrapped: str) -> None:
    with serving(_chat(wrapped % json.dumps(OFFER))) as model:
        book = AskedSource(model.url, "writer").propose(BRIEF)
    assert book.signatures
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("first", "complaint"),
    [
        (GARBAGE, "no JSON object"),
        (_chat("{not json}"), "Invalid JSON"),
        (_chat('{"kinds": {}, "signatures": "one", "triggers": []}'), "signatures"),
        (_chat('{"kinds": {}, "signatures": [], "triggers": []}'), "No trigger frame"),
        (COLLIDING, "No signature frame"),
        ((200, "not a chat completion"), "no JSON object"),
        ((200, '{"choices": []}'), "no JSON object"),
        ((200, '{"choices": [{"message": {"content": null}}]}'), "no JSON object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unusable_answer_is_asked_for_again(first: tuple[int, str], complaint: str) -> None:
    with serving(first, GOOD) as model:
        book = AskedSource(model.url, "writer").propose(BRIEF)
    assert book.signatures
    assert len(model.requests) == 2
    messages = model.requests[1]["messages"]
    assert isinstance(messages, list)
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert complaint in messages[-1]["content"]


def test_only_unusable_answers_end_in_an_error() -> None:
    with serving(GARBAGE) as model, pytest.raises(ProviderError, match="no usable") as caught:
        AskedSource(model.url, "writer").propose(BRIEF)
    assert len(model.requests) == ASKED
    assert "built-in" in caught.value.advice


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(status: int) -> None:
    with serving((status, "{}"), (status, "{}"), GOOD) as model:
        book = AskedSource(model.url, "writer", pause=0).propose(BRIEF)
    assert book.signatures
    assert len(model.requests) == 3


def test_a_lasting_failure_ends_in_an_error() -> None:
    with serving((500, "p" * 100)) as model, pytest.raises(NetworkError, match="HTTP 500"):
        AskedSource(model.url, "writer", pause=0).propose(BRIEF)
    assert len(model.requests) == TRIES


@pytest.mark.parametrize("status", [302, 400, 401, 404])
def test_a_refusal_is_final_and_tells_no_key(status: int) -> None:
    with serving((status, "{}")) as model, pytest.raises(ProviderError) as caught:
        AskedSource(model.url, "writer", "the-key").propose(BRIEF)
    assert f"HTTP {status}" in str(caught.value)
    assert "the-key" not in str(caught.value)
    assert len(model.requests) == 1


def test_no_server_is_a_network_error() -> None:
    with serving(GOOD) as model:
        pass
    with pytest.raises(NetworkError, match="ConnectError"):
        AskedSource(model.url, "writer", pause=0).propose(BRIEF)


def test_a_client_that_is_given_is_used_and_left_open() -> None:
    with serving(GOOD) as model, httpx.Client(headers={"X-Team": "ours"}) as client:
        AskedSource(model.url, "writer", client=client).propose(BRIEF)
        assert not client.is_closed


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="not an http"):
        AskedSource("localhost:8000/v1", "writer")
