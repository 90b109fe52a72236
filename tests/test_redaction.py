from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.memory import BASE, Service
from vtune_client.errors import InputError
from vtune_client.provider import endpoint_of
from vtune_client.redaction import MASK, know, redact, redacted, without_prose

KEY = "key-of-redaction-tests-42"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abc.def-1", f"Authorization: Bearer {MASK}"),
        ("authorization: Basic dXNlcjpwYXNz", f"authorization: Basic {MASK}"),
        ('{"authorization": "Bearer abc"}', f'{{"authorization": "Bearer {MASK}"}}'),
        ("{'api-key': 'abcd'}", f"{{'api-key': '{MASK}'}}"),
        ("x-api-key=abcd&n=1", f"x-api-key={MASK}"),
        ("the token Bearer abcdefgh12345678 is bad", f"the token Bearer {MASK} is bad"),
        ("sk-proj-abcdefghijklmnop is bad", f"{MASK} is bad"),
        ("hf_AbCdEfGhIjKlMnOpQr1234 is bad", f"{MASK} is bad"),
        ("at https://me:word@one.test/v1", f"at https://{MASK}@one.test/v1"),
    ],
)
def test_what_stands_where_a_credential_stands_is_taken_out(text: str, left: str) -> None:
    assert redact(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "Set VTUNE_API_KEY (in Python: api_key) to a key of this service.",
        "The bearer of bad news is tired.",
        "No answer came from https://one.test:8443/v1/models.",
        "epoch 3 of 4, loss 0.25",
        "ft:gpt-4.1-mini-2025-04-14:team::abc123",
        "hf-internal-testing/tiny-random-LlamaForCausalLM",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert redact(text) == text


def test_the_keys_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VENDOR_API_KEY", KEY)
    monkeypatch.setenv("VTUNE_SERVE_KEYS", "first-of-two,second-of-two")
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "word")  # too short to be told from words
    assert redact(f"refused: {KEY}!") == f"refused: {MASK}!"
    assert redact("refused: second-of-two") == f"refused: {MASK}"
    assert redact("a word") == "a word"
    monkeypatch.delenv("SOME_VENDOR_API_KEY")
    assert redact(KEY) == KEY


def test_a_part_of_a_key_is_taken_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VENDOR_API_KEY", KEY)
    assert redact(f"ends in {KEY[-18:]}.") == f"ends in {MASK}."
    assert redact(f"begins with {KEY[:18]}...") == f"begins with {MASK}..."
    assert redact("tests-42") == "tests-42"
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "words that stand elsewhere")
    assert redact("words that stand in a sentence") == "words that stand in a sentence"
    assert redact("words that stand elsewhere") == MASK


def test_the_secrets_of_a_connection_are_known(memory: Service) -> None:
    secret = {"Authorization": "Bearer words-of-a-connection"}
    with pytest.raises(InputError):
        endpoint_of("memory", {"nonsense": secret})
    endpoint_of("chat", {"base_url": "http://one.test/v1", "headers": secret})
    assert redact("it said words-of-a-connection") == f"it said {MASK}"
    assert redact("http://one.test/v1") == "http://one.test/v1"
    assert BASE in redact(BASE)


def test_a_json_value_is_redacted_throughout() -> None:
    know({"key": KEY})
    value = {"a": [KEY, 7, None, True], KEY: {"b": (f"x{KEY}",)}}
    assert redacted(value) == {"a": [MASK, 7, None, True], MASK: {"b": [f"x{MASK}"]}}


def test_texts_of_several_words_are_no_data() -> None:
    value = {"step": 3, "type": "metrics", "row": "Tell me about rivers.", "a b c d": ["x y z w"]}
    assert without_prose(value) == {
        "step": 3,
        "type": "metrics",
        "row": "\u2026",
        "\u2026": ["\u2026"],
    }


@given(st.text(), st.text(), st.integers(0, 9))
def test_no_stretch_of_a_known_key_passes(before: str, after: str, start: int) -> None:
    know(KEY)
    part = KEY[start : start + 16]
    assert part not in redact(before + part + after)
