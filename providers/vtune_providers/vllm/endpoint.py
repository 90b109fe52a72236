"""The vLLM `Endpoint`: a served model, or an adapter loaded for as long as it is asked.

A model that answers greedily need not answer the same twice: vLLM's arithmetic depends on what
else is in the batch, and near-ties flip. Nothing here or in the tests of the evidence needs it.
What a server lists of itself is no proof of anything, and is not taken as one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError
from vtune_client.provider import Answer, Decoding, Endpoint, EndpointCapabilities
from vtune_providers.chat import wire
from vtune_providers.chat.connection import Connection
from vtune_providers.chat.endpoint import answer_or_raise
from vtune_providers.chat.failures import Asked, failure, garbage
from vtune_providers.vllm import adapters, scores
from vtune_providers.vllm.replicas import Replicas

log = logging.getLogger(__name__)
TOP_LOGPROBS = 20  # the default of the server's --max-logprobs

# A server adds what the model's own generation_config.json says, a repetition penalty for instance.
_PLAIN = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}


class VllmEndpoint(Endpoint):
    """Asks one model at every replica in turn; silent replicas are passed over."""

    def __init__(self, connections: Sequence[Connection], *, concurrency: int, own: bool) -> None:
        self.capabilities = EndpointCapabilities(
            batch=1,
            concurrency=concurrency,
            scores=True,
            remembers=not own,
            top_logprobs=TOP_LOGPROBS,
        )
        self._connections = tuple(connections)
        self._replicas = Replicas(())
        self._asked = Asked("")
        self._loaded: dict[Connection, str] = {}
        # With --enable-lora, vLLM maps a prompt's tokens to adapters wrongly where anything else is
        # in the batch (https://github.com/vllm-project/vllm/issues/16668); on a CPU it dies of it.
        self._scoring = asyncio.Lock()

    async def acquire(self, model: str) -> None:
        """Get ready to ask `model`: a name that is served, or the directory of a peft adapter.

        The adapter is loaded under a name of its own into every replica that can be reached; they
        must see it under the same path. Raises `NetworkError` where none can be reached."""
        await self.release()
        try:
            await self._acquire(model)
        except BaseException:
            await self.release()
            raise

    async def release(self) -> None:
        """Unload what was loaded, close what was opened; safe to call twice."""
        self._replicas = Replicas(())
        try:
            while self._loaded:
                await adapters.unload(*self._loaded.popitem())
        finally:
            for connection in self._connections:
                await connection.aclose()

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return [await self._answer(prompt, decoding) for prompt in prompts]

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        async with self._scoring:
            asked = self._asked.about(prompt, *continuations)
            before = await self._ids(scores.prompt_to_tokenize(asked.model, prompt), asked)
            if not before:
                raise InputError("A prompt is empty.", "Ask with at least one word.")
            return [await self._score(before, text, asked) for text in continuations]

    async def _acquire(self, model: str) -> None:
        for connection in self._connections:
            connection.open()
        lists = await self._lists(model)
        name, ready = model, [each for each, listed in lists.items() if model in listed]
        if not ready and (folder := adapters.adapter_folder(model)):
            name = adapters.fresh_name()
            ready = await self._load(list(lists), name, folder)
        listed = tuple(dict.fromkeys(each for names in lists.values() for each in names))
        self._asked = Asked(model, listed, self._private())
        if not ready:
            log.warning("The server does not list %r; asking it all the same.", model)
        elif name != model:
            self._asked = Asked(name, (), self._private())
        self._replicas = Replicas(ready or list(lists))

    async def _lists(self, model: str) -> dict[Connection, tuple[str, ...]]:
        """Return the models listed, by replica that can be reached."""
        lists: dict[Connection, tuple[str, ...]] = {}
        silence: NetworkError | None = None
        for connection in self._connections:
            try:
                reply = await connection.send("GET", wire.MODELS)
            except NetworkError as error:
                silence = error
                log.warning("%s: %s", connection.url, error.message)
                continue
            if reply.status == 401:
                raise failure(reply, Asked(model, private=self._private()))
            lists[connection] = wire.models_of(reply.json()) if reply.ok else ()
        if silence and not lists:
            raise silence
        return lists

    async def _load(
        self, connections: Sequence[Connection], name: str, folder: Path
    ) -> list[Connection]:
        """Load the adapter into every replica; return those that have it."""
        ready: list[Connection] = []
        silence: NetworkError | None = None
        for connection in connections:
            self._loaded[connection] = name  # first: a load that is cut off may yet happen
            try:
                await adapters.load(connection, name, folder)
            except NetworkError as error:
                silence = error
                log.warning("%s: %s", connection.url, error.message)
            else:
                ready.append(connection)
        if silence and not ready:
            raise silence
        return ready

    async def _answer(self, prompt: Prompt, decoding: Decoding) -> Answer:
        path, body = wire.question(self._asked.model, prompt, decoding, wire.MAX_TOKENS)
        if prompt.tools:
            # The tools stay in the prompt; the answer stays text.
            body["tool_choice"] = "none"
        reply = await self._replicas.send("POST", path, {**body, **_PLAIN})
        return answer_or_raise(reply, self._asked.about(prompt))

    async def _score(self, before: list[int], text: str, asked: Asked) -> float:
        behind = await self._ids(scores.text_to_tokenize(asked.model, text), asked)
        if not behind:
            return 0.0
        ids = [*before, *behind]
        reply = await self._replicas.send(
            "POST", wire.COMPLETIONS, scores.to_score(asked.model, ids)
        )
        if scores.refuses(reply):
            raise scores.not_offered("The server refuses to give log-probabilities of a prompt.")
        if not reply.ok:
            raise failure(reply, asked)
        found = scores.score_of(reply.json(), ids, len(before))
        if found is None:
            raise garbage(reply, asked)
        return found

    async def _ids(self, body: dict[str, object], asked: Asked) -> list[int]:
        reply = await self._replicas.send("POST", scores.TOKENIZE, body, root=True)
        if reply.status in (401, 403, 404, 405) and b"does not exist" not in reply.body:
            raise scores.not_offered("The server does not tokenise for us.")
        if not reply.ok:
            raise failure(reply, asked)
        ids = scores.ids_of(reply.json())
        if ids is None:
            raise garbage(reply, asked)
        return ids

    def _private(self) -> tuple[object, ...]:
        return tuple(value for each in self._connections for value in each.private)
