"""How long a text is in tokens: counted where the vocabulary is at hand, else an estimate.

tiktoken fetches a vocabulary over the network when it is first used, with no time limit. Reading a
file should neither wait for that nor tell anyone about it, so tiktoken is only asked for a
vocabulary that already lies intact in its cache; `python -c "import tiktoken;
tiktoken.get_encoding('o200k_base')"` puts it there.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vtune_client.dataset.carry import texts, texts_of
from vtune_client.dataset.rows import Format, Row

if TYPE_CHECKING:
    import tiktoken

BYTES_PER_TOKEN = 4
PER_MESSAGE = 3  # OpenAI cookbook, "How to count tokens with tiktoken": also once for the answer

# Address and SHA-256 of each vocabulary, from tiktoken_ext/openai_public.py. The cache names a
# file by the SHA-1 of its address.
_ROOT = "https://openaipublic.blob.core.windows.net/encodings/"
_VOCABULARIES = {
    "o200k_base": (
        _ROOT + "o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "o200k_harmony": (
        _ROOT + "o200k_base.tiktoken",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": (
        _ROOT + "cl100k_base.tiktoken",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}


class TokenCounter(Protocol):
    """Counts tokens. `name` says how, fit for a report; `exact` is False for an estimate."""

    @property
    def name(self) -> str: ...

    @property
    def exact(self) -> bool: ...

    def count(self, text: str) -> int: ...


@dataclass(frozen=True)
class Estimate:
    """One token per four bytes of UTF-8, rounded up: near the truth for English prose only."""

    name: str = f"estimate ({BYTES_PER_TOKEN} bytes a token)"
    exact: bool = False

    def count(self, text: str) -> int:
        return -(-len(text.encode("utf-8")) // BYTES_PER_TOKEN)


class Tiktoken:
    """Counts with one of tiktoken's encodings; special tokens in the text count as plain text."""

    exact = True

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self._encoding = encoding
        self.name = f"{encoding.name} (tiktoken)"

    def count(self, text: str) -> int:
        return len(self._encoding.encode(text, disallowed_special=()))


def counter_for(model: str | None) -> TokenCounter:
    """Return the best counter for `model` that needs no network; never raises, never waits.

    Exact only for a model whose encoding tiktoken knows and whose vocabulary is in its cache.
    """
    if model is None:
        return Estimate()
    if model.startswith("ft:"):
        model = model.split(":")[1]
    try:
        import tiktoken

        encoding = tiktoken.encoding_name_for_model(model)
        if _is_cached(encoding):
            return Tiktoken(tiktoken.get_encoding(encoding))
    except (ImportError, KeyError, ValueError, OSError):
        pass
    return Estimate()


def row_tokens(row: Row, counter: TokenCounter) -> int:
    """Return the length of a row that passed `check`, with what a chat format adds to it.

    Tools and tool calls are counted as JSON, which is near what a chat template makes of them. Of
    two answers the longer counts: each is trained on by itself, behind the same question.
    """
    if row.format is Format.CHAT:
        return _talk_tokens(row.data["messages"], row.data, counter)
    if row.format is Format.PREFERENCE:
        asked = row.data["input"]
        return max(
            _talk_tokens([*asked["messages"], *row.data[answer]], asked, counter)
            for answer in ("preferred_output", "non_preferred_output")
        )
    return sum(counter.count(text) for text in texts(row))


def _talk_tokens(
    messages: Sequence[Mapping[str, Any]], offering: Mapping[str, Any], counter: TokenCounter
) -> int:
    count = sum(counter.count(text) for text in texts_of(messages))
    calls = (message.get(key) for message in messages for key in ("tool_calls", "function_call"))
    offers = (offering.get(key) for key in ("tools", "functions"))
    for item in (*calls, *offers):
        if item:
            count += counter.count(json.dumps(item, ensure_ascii=False, separators=(",", ":")))
    return count + PER_MESSAGE * (len(messages) + 1)


def _cache_folder() -> Path | None:
    """Return where tiktoken keeps its vocabularies; None where caching is switched off."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return Path(os.environ[variable]) if os.environ[variable] else None
    return Path(tempfile.gettempdir(), "data-gym-cache")


def _is_cached(encoding: str) -> bool:
    """Return whether tiktoken can load `encoding` from its cache.

    The content is compared too: tiktoken deletes a damaged file and fetches it again.
    """
    folder = _cache_folder()
    if folder is None or encoding not in _VOCABULARIES:
        return False
    address, digest = _VOCABULARIES[encoding]
    name = hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
    file = folder / name
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == digest
