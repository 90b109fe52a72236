"""What a service's refusals become, and what of its words is passed on."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("openai")

from vtune_client.errors import NetworkError, ProviderError
from vtune_providers.chat.wire import Reply
from vtune_providers.openai.failures import Doing, failure
from vtune_providers.openai.words import LENGTH, plain

PRIVATE = "Follow the velvet lantern copper harbor guide."
DOING = Doing("start the job", "model 'm'", (PRIVATE, "sk-0123456789abcdef"))


def said(status: int, message: str = "", headers: dict[str, str] | None = None, **more: Any) -> Any:
    body = json.dumps({"error": {"message": message, **more}}).encode()
    return failure(Reply(status, headers or {}, body), DOING)


@pytest.mark.parametrize(
    ("status", "message", "code", "text"),
    [
        (401, "Incorrect API key provided: sk-01**cdef", None, "does not accept the key"),
        (403, "Not in your project.", None, "does not let this key start the job"),
        (404, "No such model.", None, "knows no model 'm'"),
        (400, "Bad n_epochs.", "invalid_value", "(HTTP 400, invalid_value): Bad n_epochs"),
        (422, "", None, "refuses to start the job (HTTP 422)"),
        (413, "", None, "too large"),
        (307, "", None, "sends us elsewhere"),
        (429, "You exceeded your quota.", "insufficient_quota", "quota at the service is used up"),
        (403, "Fine-tuning is no longer available to new users.", None, "offers this account no"),
        (403, "Your organization does not have access to fine-tuning", None, "this account no"),
        (403, "Fine-tuning is not allowed for the model gpt-9", None, "does not let this key"),
        (400, "Fine-tuning jobs are not permitted for this org", None, "offers this account no"),
    ],
)
def test_a_no_is_a_providers_error(status: int, message: str, code: str, text: str) -> None:
    error = said(status, message, code=code)
    assert isinstance(error, ProviderError)
    assert text in str(error)


def test_the_key_is_never_quoted() -> None:
    assert "sk-01" not in str(said(401, "Incorrect API key provided: sk-01**cdef"))


@pytest.mark.parametrize(
    ("status", "message", "acted"),
    [
        (429, "Rate limit reached.", False),
        (503, "The engine is overloaded; please slow down.", False),
        (503, "Upstream gave up.", True),
        (529, "Busy.", False),
        (500, "The server had an error.", True),
        (502, "", True),
        (409, "", True),
        (408, "", True),
    ],
)
def test_later_is_a_network_error_that_says_what_was_done(
    status: int, message: str, acted: bool
) -> None:
    error = said(status, message, {"retry-after": "7"})
    assert isinstance(error, NetworkError)
    assert (error.acted, error.retry_after) == (acted, 7.0)


def test_words_that_quote_what_was_asked_are_left_out() -> None:
    assert "velvet" not in str(said(400, f"Cannot parse {PRIVATE}"))
    assert "velvet" not in str(said(400, "I will not follow the velvet lantern for you"))
    assert "Cannot parse" in str(said(400, "Cannot parse the file"))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Line 3 has \"Tell me about rivers\" in 'content'.", "Line 3 has … in 'content'."),
        ('Line 3: {"messages": [{"role": "user"}]} is bad', "Line 3: … is bad"),
        ("It doesn't fit; you can't train.", "It doesn't fit; you can't train."),
        ("two\nlines\x1b[31m", "two lines [31m"),
        (None, ""),
        ({"a": 1}, ""),
        ("word " * 200, f"{('word ' * 200)[: LENGTH - 1]}…"),
    ],
)
def test_quotations_are_left_out(text: object, left: str) -> None:
    assert plain(text) == left
