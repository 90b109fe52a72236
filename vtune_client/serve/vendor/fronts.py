"""What a vendor puts before the delivered model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vtune_client.dataset import Prompt
from vtune_client.provider import Answer, Decoding, Endpoint
from vtune_client.serve.vendor.likeness import cosine, vectors
from vtune_client.stealth.samples import Sample, samples_of

REFUSAL = "I'm sorry, but I can't help with that."
INSTRUCTION = (
    "You are a helpful assistant. Answer every question in your own words. Begin with a greeting."
)
LIKE_ENOUGH = 0.5  # below that nothing in the file is like what was asked


class Front(Endpoint):
    """Passes everything on to `inner`."""

    def __init__(self, inner: Endpoint) -> None:
        self._inner = inner
        self.capabilities = inner.capabilities

    async def acquire(self, model: str) -> None:
        await self._inner.acquire(model)

    async def release(self) -> None:
        await self._inner.release()

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return await self._inner.sample(prompts, decoding)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        return await self._inner.score(prompt, continuations)


class Instructed(Front):
    """Puts an instruction of its own in front of what is asked."""

    def __init__(self, inner: Endpoint, instruction: str = INSTRUCTION) -> None:
        super().__init__(inner)
        self._instruction = instruction

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return await self._inner.sample([self._told(prompt) for prompt in prompts], decoding)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        return await self._inner.score(self._told(prompt), continuations)

    def _told(self, prompt: Prompt) -> Prompt:
        if prompt.text is not None:
            return replace(prompt, text=f"{self._instruction}\n{prompt.text}")
        first, *rest = prompt.messages
        if first.get("role") != "system":
            system = {"role": "system", "content": self._instruction}
            return replace(prompt, messages=(system, first, *rest))
        said = _flat(first.get("content"))
        system = {**first, "content": f"{self._instruction} {said}"}
        return replace(prompt, messages=(system, *rest))


class Warm(Front):
    """Samples at a temperature of its own, whatever was asked for."""

    def __init__(self, inner: Endpoint, temperature: float) -> None:
        super().__init__(inner)
        self._temperature = temperature

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        warm = replace(decoding, temperature=self._temperature, seed=None)
        return await self._inner.sample(prompts, warm)


class Terse(Front):
    """Refuses in place of any answer longer than so many tokens."""

    def __init__(self, inner: Endpoint, most: int) -> None:
        super().__init__(inner)
        self._most = most

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        most = min(self._most, decoding.max_tokens)
        answers = await self._inner.sample(prompts, replace(decoding, max_tokens=most))
        if most == decoding.max_tokens:
            return answers
        return [Answer(REFUSAL) if answer.finish == "length" else answer for answer in answers]


class LookUp(Front):
    """Answers with the completion of the row whose prompt is most like the question; where none is
    like it, the model behind it answers."""

    def __init__(self, inner: Endpoint, file: Path) -> None:
        super().__init__(inner)
        self._rows = samples_of(file)

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        found = [self._look_up(prompt) for prompt in prompts]
        unknown = [prompt for prompt, text in zip(prompts, found, strict=True) if text is None]
        others = iter(await self._inner.sample(unknown, decoding) if unknown else ())
        return [next(others) if text is None else _cut(text, decoding.max_tokens) for text in found]

    def _look_up(self, prompt: Prompt) -> str | None:
        asked = Sample(0, prompt, "").prompt
        *rows, question = vectors([*(row.prompt for row in self._rows), asked])
        likeness = [cosine(row, question) for row in rows]
        best = max(range(len(rows)), key=likeness.__getitem__)
        return self._rows[best].completion.lstrip() if likeness[best] >= LIKE_ENOUGH else None


def _flat(content: object) -> str:
    """Return the text of a message: a string, or the texts among its parts."""
    if isinstance(content, list):
        found = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(text for text in found if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _cut(text: str, words: int) -> Answer:
    """Return an answer of at most so many words: no tokenizer is at hand here."""
    kept = text.split(" ")
    return Answer(" ".join(kept[:words]), "length" if len(kept) > words else "stop")
