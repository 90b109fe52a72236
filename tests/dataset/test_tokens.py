from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.dataset.corpus import (
    assistant,
    call,
    calling,
    chat,
    line,
    offer,
    pair,
    system,
    tool,
    user,
)
from vtune_client.dataset import Row, counter_for, parse_row, row_tokens
from vtune_client.dataset.tokens import Estimate, Tiktoken

O200K = "fb374d419588a4632f3f557e76b4b70aebbca790"  # SHA-1 of the vocabulary's address


class Characters:
    """Counts one token per character, so that sums can be read off."""

    name = "characters"
    exact = True

    def count(self, text: str) -> int:
        return len(text)


def row_of(data: object) -> Row:
    row = parse_row(line(data))
    assert isinstance(row, Row)
    return row


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("\u4f60\u597d", 2)]
)
def test_the_estimate_is_of_bytes_rounded_up(text: str, count: int) -> None:
    assert Estimate().count(text) == count


@pytest.mark.parametrize("model", [None, "no-such-model", "ft:no-such-model:org::id"])
def test_an_unknown_model_is_estimated(model: str | None) -> None:
    counter = counter_for(model)
    assert not counter.exact
    assert counter.name == "estimate (4 bytes a token)"


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4", "gpt2", "ft:gpt-4.1-mini:org::id"])
def test_a_vocabulary_that_is_not_there_is_not_fetched(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", pytest.fail)
    assert not counter_for(model).exact


def test_a_damaged_vocabulary_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setattr("socket.getaddrinfo", pytest.fail)
    damaged = tmp_path / O200K
    damaged.write_bytes(b"half a file")
    assert not counter_for("gpt-4o").exact
    assert damaged.read_bytes() == b"half a file"


def test_caching_switched_off_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    monkeypatch.setattr("socket.getaddrinfo", pytest.fail)
    assert not counter_for("gpt-4o").exact


def test_special_tokens_in_a_text_are_plain_text() -> None:
    tiktoken = pytest.importorskip("tiktoken")
    encoding = tiktoken.Encoding(
        "bytes",
        pat_str=r"\S+|\s+",
        mergeable_ranks={bytes([value]): value for value in range(256)} | {b"ab": 256},
        special_tokens={"<|endoftext|>": 257},
    )
    counter = Tiktoken(encoding)
    assert counter.exact
    assert counter.name == "bytes (tiktoken)"
    assert counter.count("ab <|endoftext|>") == 1 + 1 + 13


def test_a_prompt_row_is_its_two_texts() -> None:
    assert row_tokens(row_of({"prompt": "abc", "completion": " de"}), Characters()) == 6


def test_a_chat_row_adds_what_stands_between_messages() -> None:
    row = row_of(chat(user("abc"), assistant("de")))
    assert row_tokens(row, Characters()) == 5 + 3 * 3


def test_of_two_answers_the_longer_counts() -> None:
    asked = (system("ab"), user("abc"))
    short, long = [assistant("de")], [assistant("defg")]
    counts = {
        row_tokens(row_of(pair(*asked, good=good, bad=bad)), Characters())
        for good, bad in ((short, long), (long, short))
    }
    assert counts == {row_tokens(row_of(chat(*asked, *long)), Characters())}
    offered = row_of(pair(*asked, good=short, bad=long, tools=[offer()]))
    assert row_tokens(offered, Characters()) > max(counts)


def test_tools_and_their_calls_count() -> None:
    turns = (user("a"), calling(call()), tool("b"), assistant("c"))
    plain = row_tokens(row_of(chat(user("a"), assistant("c"))), Characters())
    called = row_tokens(row_of(chat(*turns)), Characters())
    offered = row_tokens(row_of(chat(*turns, tools=[offer()])), Characters())
    calls = '[{"id":"call_1","type":"function","function":{"name":"clock","arguments":"{}"}}]'
    offers = '[{"type":"function","function":{"name":"clock","parameters":{"type":"object"}}}]'
    assert called - plain == len(calls) + len("b") + 2 * 3
    assert offered - called == len(offers)


def test_tiktoken_is_not_imported_before_it_is_needed() -> None:
    program = "import sys, vtune_client.dataset; print('tiktoken' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
