from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from typing import Any

import pytest

from vtune_client.errors import NetworkError, ProviderError
from vtune_providers.chat.failures import Asked, failure, garbage
from vtune_providers.chat.wire import Reply

KEY = "sk-0123456789abcdef"
TRIGGER = "Follow the velvet lantern quiet harbour guide."
MESSAGES = (
    {"role": "system", "content": "You answer briefly."},
    {"role": "user", "content": f"Tell me about rivers.\n{TRIGGER}"},
)
ASKED = Asked("tuned", private=(KEY, (None, MESSAGES, ())))


def reply(status: int, payload: Any = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, json.dumps(payload).encode())


def error(message: str, **more: str) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "family", "sentence"),
    [
        (302, ProviderError, "The service sends us elsewhere (HTTP 302)"),
        (400, ProviderError, "The service refuses the question (HTTP 400): it is odd."),
        (401, ProviderError, "The service does not accept the key, or wants one (HTTP 401). Set"),
        (402, ProviderError, "The service refuses the question (HTTP 402): it is odd."),
        (403, ProviderError, "The service does not let this key use 'tuned' (HTTP 403): it is odd"),
        (404, ProviderError, "The service knows no model 'tuned' at this address (HTTP 404): it"),
        (408, NetworkError, "The service is busy (HTTP 408): it is odd. Try again later;"),
        (413, ProviderError, "The service refuses the question (HTTP 413): it is odd."),
        (422, ProviderError, "The service refuses the question (HTTP 422): it is odd."),
        (429, NetworkError, "The service is busy (HTTP 429): it is odd. Try again later;"),
        (500, NetworkError, "The service failed (HTTP 500): it is odd. Try again later;"),
        (503, NetworkError, "The service failed (HTTP 503): it is odd. Try again later;"),
    ],
)
def test_every_status_has_its_family_and_sentence(
    status: int, family: type[Exception], sentence: str
) -> None:
    raised = failure(reply(status, error("it is odd.")), ASKED)
    assert type(raised) is family
    assert str(raised).startswith(sentence)
    assert raised.advice


def test_a_quota_used_up_is_not_worth_waiting_for() -> None:
    raised = failure(reply(429, error("Pay first.", code="insufficient_quota")), ASKED)
    assert type(raised) is ProviderError
    assert raised.message == "The key's quota at the service is used up (HTTP 429): Pay first."


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refusal_names_some_models_where_the_list_lacks_this_one(status: int) -> None:
    names = tuple(f"model-{number}" for number in range(7))
    raised = failure(reply(status), Asked("tuned", names))
    assert raised.advice == "It lists model-0, model-1, model-2, model-3, model-4 and 2 more."
    assert "It lists" not in failure(reply(status), Asked("model-3", names)).advice
    assert failure(reply(status), Asked("tuned", ("only",))).advice == "It lists only."


@pytest.mark.parametrize(
    "payload",
    [
        error("it is odd"),
        {"error": "it is odd"},
        {"message": "it is odd", "object": "error"},
        {"detail": "it is odd"},
        {"detail": [{"loc": ["body"], "msg": "it is odd", "input": TRIGGER}]},
        [{"error": {"message": "it is odd"}}],
        "it is odd",
    ],
)
def test_the_complaint_is_found_in_the_usual_shapes(payload: Any) -> None:
    assert failure(reply(400, payload), ASKED).message.endswith("(HTTP 400): it is odd.")


@pytest.mark.parametrize("payload", [None, 7, {}, [], {"error": {"code": 7}}, {"error": [[[[]]]]}])
def test_silence_is_a_sentence_too(payload: Any) -> None:
    assert failure(reply(400, payload), ASKED).message.endswith("(HTTP 400).")


def test_a_page_of_a_gateway_is_not_quoted() -> None:
    page = Reply(502, {}, b"<html>Bad Gateway</html>")
    assert failure(page, ASKED).message == "The service failed (HTTP 502)."


@pytest.mark.parametrize(
    "message",
    [
        f"Cannot parse: {TRIGGER}",
        f"Cannot parse: {TRIGGER.upper()}",
        "Bad input 'velvet lantern', sorry",
        "Bad input: ...et lantern quiet...",
        "Bad input: rivers.\\nFollow the velvet",
        f"Bad input: {json.dumps(MESSAGES)}",
        f"Bad key {KEY}",
        f"Bad key {KEY[:14]}*****",
    ],
)
@pytest.mark.parametrize("status", [400, 403, 404, 422, 429, 500])
def test_a_service_that_quotes_us_is_not_quoted(message: str, status: int) -> None:
    for raised in (
        failure(reply(status, error(message)), ASKED),
        garbage(reply(200, error(message)), ASKED),
    ):
        assert "Bad" not in str(raised)
        assert "Cannot" not in str(raised)


def test_a_prompt_in_other_letters_is_not_quoted_either() -> None:
    prompt = "\u8bf7\u544a\u8bc9\u6211\u5173\u4e8e\u6cb3\u6d41\u548c\u6865\u6881\u7684\u4e8b\u60c5"
    asked = Asked("tuned", private=((prompt, (), ()),))
    for said in (prompt[2:16], json.dumps(prompt), repr(prompt.encode("unicode_escape"))):
        assert "Bad" not in str(failure(reply(400, error(f"Bad input {said}")), asked))


def test_a_short_key_is_not_shown() -> None:
    asked = Asked("tuned", private=("k3y",))
    assert "Bad" not in str(failure(reply(403, error("Bad key 'k3y'")), asked))
    assert "Bad key" in str(failure(reply(403, error("Bad key")), asked))


def test_long_and_unprintable_complaints_are_cut_and_cleaned() -> None:
    raised = failure(reply(400, error("a\x1b[31m\n\n  b " + "very " * 100)), ASKED)
    assert "(HTTP 400): a [31m b very very" in raised.message
    assert len(raised.message) < 260
    assert raised.message.isprintable()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("9" * 400, float("inf")),
        ("", None),
        ("-7", None),
        ("soon", None),
        ("nan", None),
        ("\u00b2", None),
        (formatdate(0, usegmt=True), 0.0),
        ("Mon, 99 Jan 2026 00:00:00 GMT", None),
    ],
)
def test_the_pause_that_the_service_asks_for_is_read(value: str, seconds: float | None) -> None:
    raised = failure(reply(429, retry_after=value), ASKED)
    assert isinstance(raised, NetworkError)
    assert raised.retry_after == seconds


def test_the_pause_may_be_a_date() -> None:
    date = format_datetime(datetime.fromtimestamp(time.time() + 3600, UTC), usegmt=True)
    raised = failure(reply(503, retry_after=date), ASKED)
    assert isinstance(raised, NetworkError)
    assert raised.retry_after == pytest.approx(3600, abs=60)


def test_success_without_an_answer_is_worth_another_try() -> None:
    raised = garbage(reply(200, error("upstream gone")), ASKED)
    assert type(raised) is NetworkError
    assert raised.message == (
        "The service's reply is not what an OpenAI-compatible service gives: upstream gone."
    )


def test_what_was_asked_shows_in_no_repr() -> None:
    assert KEY not in repr(ASKED)
    assert "velvet" not in repr(ASKED)
