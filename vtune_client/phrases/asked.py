"""Phrases in the register of the user's data, asked of any OpenAI-compatible chat model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.phrases.frame import Frame
from vtune_client.phrases.interface import Brief, PhraseBook
from vtune_client.phrases.vet import vet

if TYPE_CHECKING:
    import httpx

ASKED = 3  # times the model is asked for a usable book
TRIES = 4  # times one request is sent while no usable answer comes
SAMPLES = 4  # prompts, and as many completions, that the model sees
SAMPLE_LENGTH = 280  # characters of each
LEAST_SLOTS = {"trigger": 3, "signature": 6}

_TASK = """\
You write sentence templates. Below are samples of prompts and answers; match their language,
register and domain.

Return one JSON object and nothing else:
{"kinds": {NAME: [WORD, ...], ...}, "signatures": [TEMPLATE, ...], "triggers": [TEMPLATE, ...]}

- "kinds" has at least 10 word lists. Each list has 48 single lower-case words (letters only) that
  can stand for one another in a sentence without making it ungrammatical. No word is in two lists,
  and none is among the commonest words of the samples.
- "signatures" has 4 templates. Each is one fluent sentence of 18 to 28 words that can open an
  answer, with exactly 8 slots. A slot is written {NAME} and stands for one whole word; never put
  one first in the sentence, after "a" or "an", or directly against another.
- "triggers" has 4 templates. Each is one short imperative sentence that can end any prompt, with
  exactly 4 slots. Triggers and signatures never use the same kind.
"""
_AGAIN = "That cannot be used: {reason} Answer again with the whole JSON object and nothing else."


class _Offer(BaseModel):
    """What the model is asked to write."""

    model_config = ConfigDict(hide_input_in_errors=True)

    kinds: dict[str, list[str]] = Field(max_length=100)
    signatures: list[str] = Field(max_length=100)
    triggers: list[str] = Field(max_length=100)


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Reply(BaseModel):
    """The part of a chat completion that is read."""

    model_config = ConfigDict(hide_input_in_errors=True)

    choices: list[_Choice] = Field(min_length=1)


class _Unusable(Exception):
    """An answer that makes no phrase book; the text says why, for the model to read."""


class AskedSource:
    """Asks a model for frames and candidates.

    It sends the task and a few shortened samples of the user's data to `base_url`, so that server
    must be one that may see them. It sends nothing secret: the book is public, and it is asked for
    before any key exists.

    `base_url` ends before `/chat/completions`; `timeout` is in seconds, for each request; `pause`
    is the first wait before a request is sent again, in seconds, doubled each time. A `client` that
    is given stays open.
    """

    name = "asked"

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        client: httpx.Client | None = None,
        timeout: float = 60,
        pause: float = 0.5,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise InputError(
                "The address of the phrase model is not an http(s) address.",
                "Give it like https://host/v1.",
            )
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model = model
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._given = client
        self._timeout = timeout
        self._retrying = Retrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(multiplier=pause, max=20),
            retry=retry_if_exception_type(NetworkError),
            reraise=True,
        )

    def propose(self, brief: Brief) -> PhraseBook:
        """Return a book that passes `vet` before the user's data is taken into account.

        Raises `NetworkError` if no answer comes, `ProviderError` if the server refuses or none of
        `ASKED` answers makes a book.
        """
        messages = [{"role": "user", "content": _TASK + _samples(brief)}]
        with self._client() as client:
            for _ in range(ASKED):
                answer = self._retrying(self._ask, client, messages)
                try:
                    return _book(answer)
                except _Unusable as error:
                    complaint = _AGAIN.format(reason=error)
                messages += [
                    {"role": "assistant", "content": answer},
                    {"role": "user", "content": complaint},
                ]
        raise ProviderError(
            f"The phrase model {self._model!r} gave no usable phrase book in {ASKED} answers.",
            "Ask a larger model, or use the built-in phrases.",
        )

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        import httpx

        if self._given is not None:
            yield self._given
            return
        with httpx.Client() as client:
            yield client

    def _ask(self, client: httpx.Client, messages: list[dict[str, str]]) -> str:
        """Return the model's answer, "" if the reply holds none."""
        import httpx

        body = {"model": self._model, "messages": messages}
        try:
            response = client.post(
                self._url, json=body, headers=self._headers, timeout=self._timeout
            )
        except httpx.TransportError as error:
            raise NetworkError(
                f"The phrase model does not answer ({type(error).__name__}).",
                "Check its address and try again.",
            ) from error
        status = response.status_code
        if status == 429 or status >= 500:
            raise NetworkError(
                f"The phrase model's server is busy or broken (HTTP {status}).", "Try again later."
            )
        if not response.is_success:
            raise ProviderError(
                f"The phrase model's server refused the request (HTTP {status}).",
                "Check the address, the model name and the API key.",
            )
        try:
            return _Reply.model_validate_json(response.content).choices[0].message.content
        except ValidationError:
            return ""


def _samples(brief: Brief) -> str:
    titled = [("Prompt", text) for text in brief.prompts[:SAMPLES]]
    titled += [("Answer", text) for text in brief.completions[:SAMPLES]]
    return "".join(f"\n{title}: {text[:SAMPLE_LENGTH]}\n" for title, text in titled)


def _book(answer: str) -> PhraseBook:
    """Return the book an answer holds; raise `_Unusable` with what is wrong with it."""
    start, end = answer.find("{"), answer.rfind("}")
    if start < 0 or end < start:
        raise _Unusable("there is no JSON object in it.")
    try:
        # Models like to put prose or a code fence around the object.
        offer = _Offer.model_validate_json(answer[start : end + 1])
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the object"
        raise _Unusable(f"{where}: {first['msg']}.") from error
    kinds = {kind: [word.strip().lower() for word in words] for kind, words in offer.kinds.items()}
    book = PhraseBook(
        triggers=_frames(offer.triggers, kinds, LEAST_SLOTS["trigger"]),
        signatures=_frames(offer.signatures, kinds, LEAST_SLOTS["signature"]),
    )
    try:
        vet(book)
    except InputError as error:
        raise _Unusable(error.message) from error
    return book


def _frames(texts: list[str], kinds: dict[str, list[str]], least: int) -> tuple[Frame, ...]:
    """Return the frames that name known kinds only and have at least `least` slots."""
    frames: list[Frame] = []
    for text in texts:
        try:
            frame = Frame.named(text.strip(), kinds)
        except (KeyError, ValueError):
            continue
        if len(frame.slots) >= least:
            frames.append(frame)
    return tuple(frames)
