from __future__ import annotations

import pytest

from vtune_client.errors import InputError
from vtune_providers.chat.address import checked_headers, checked_url

SECRET = "sk-a-secret-of-the-tests"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.example.com", "https://api.example.com/v1"),
        ("https://api.example.com/", "https://api.example.com/v1"),
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        (" https://api.example.com/v1/ \n", "https://api.example.com/v1"),
        ("https://api.example.com/v1/chat/completions", "https://api.example.com/v1"),
        ("https://api.example.com/openai/v1", "https://api.example.com/openai/v1"),
        ("https://gateway.example.com/api/", "https://gateway.example.com/api"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_a_url_without_a_path_gets_v1_and_any_other_is_kept(given: str, used: str) -> None:
    assert checked_url(given) == used


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "The chat provider needs the base URL"),
        ("  ", "The chat provider needs the base URL"),
        (f"api.example.com/{SECRET}", "does not begin with http"),
        (f"ftp://api.example.com/{SECRET}", "does not begin with http"),
        (f"https:///{SECRET}", "does not begin with http"),
        (f"http://api.example.com:{SECRET}", "is not a valid URL"),
        (f"https://api.example.com/v1\x00{SECRET}", "is not a valid URL"),
        (f"https://user:{SECRET}@api.example.com/v1", "has a user, a query or a fragment"),
        (f"https://api.example.com/v1?key={SECRET}", "has a user, a query or a fragment"),
        (f"https://api.example.com/v1#{SECRET}", "has a user, a query or a fragment"),
    ],
)
def test_any_other_url_is_an_input_error_that_does_not_show_it(
    given: str | None, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as raised:
        checked_url(given)
    assert SECRET not in str(raised.value)
    assert raised.value.advice


def test_the_key_is_a_bearer_and_own_headers_win() -> None:
    assert checked_headers(None, {}) == {}
    assert checked_headers("  ", {}) == {}
    assert checked_headers(f"{SECRET}\n", {"X-Team": "a"}) == {
        "authorization": f"Bearer {SECRET}",
        "x-team": "a",
    }
    assert checked_headers(SECRET, {"Authorization": "Basic b"}) == {"authorization": "Basic b"}


@pytest.mark.parametrize(
    ("key", "headers", "sentence"),
    [
        (f"{SECRET}\n{SECRET}", {}, "The key holds characters"),
        (f"{SECRET}\u2026", {}, "The key holds characters"),
        (None, {"x-key": f"{SECRET}\r\nx: y"}, "The header x-key holds characters"),
        (None, {f"x: {SECRET}": "y"}, "A header has an unusable name"),
        (None, {"": "y"}, "A header has an unusable name"),
    ],
)
def test_what_cannot_be_sent_is_refused_unshown(
    key: str | None, headers: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as raised:
        checked_headers(key, headers)
    assert SECRET not in str(raised.value)
