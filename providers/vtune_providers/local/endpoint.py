"""The local `Endpoint`: serves any local model with batched generation and with scores."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vtune_client.dataset import Prompt
from vtune_client.errors import ProviderError
from vtune_client.provider import Answer, Decoding, Endpoint, EndpointCapabilities, TokenScores
from vtune_providers.local.encode import encode_prompt, encode_text

SCORE_BATCH = 32
MOST_LOGITS = 1 << 26  # numbers to hold at once where token scores are asked for: 256 MiB


class LocalEndpoint(Endpoint):
    """Answers with a model directory, an adapter directory, a hub id or the embedded base."""

    capabilities = EndpointCapabilities(batch=32, scores=True, remembers=False, top_logprobs=20)

    def __init__(self) -> None:
        self._model: Any = None
        self._tokenizer: Any = None

    async def acquire(self, model: str) -> None:
        await self.release()  # never two models in memory
        await asyncio.to_thread(self._load, model)

    async def release(self) -> None:
        self._model = self._tokenizer = None
        torch = sys.modules.get("torch")
        if torch and torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # for whoever uses the card next: a trainer, say

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        self._check_acquired()
        if not prompts:
            return []
        return await asyncio.to_thread(self._sample, prompts, decoding)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        self._check_acquired()
        return await asyncio.to_thread(self._score, prompt, continuations)

    def _load(self, name: str) -> None:
        from vtune_providers.local.models import load_served

        self._model, self._tokenizer = load_served(name)

    def _check_acquired(self) -> None:
        if self._model is None:
            raise ProviderError("No model is loaded.", "Call acquire(model) first.")

    def _sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Answer]:
        import torch

        encoded = [encode_prompt(self._tokenizer, prompt) for prompt in prompts]
        if decoding.seed is not None:
            torch.manual_seed(decoding.seed)
        size = len(encoded)
        if decoding.top_logprobs:
            each = decoding.max_tokens * self._model.get_output_embeddings().weight.shape[0]
            size = max(1, MOST_LOGITS // each)
        answers: list[Answer] = []
        for start in range(0, len(encoded), size):
            answers += self._generate(encoded[start : start + size], decoding)
        return answers

    def _generate(self, encoded: list[list[int]], decoding: Decoding) -> list[Answer]:
        import torch

        width = max(map(len, encoded))
        pad = self._pad()
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in encoded])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in encoded])
        sampling: dict[str, Any] = {"do_sample": False}
        if decoding.temperature > 0:
            # From all tokens: transformers looks at the likeliest 50 unless told not to.
            sampling = {"do_sample": True, "temperature": decoding.temperature, "top_k": 0}
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=mask.to(self._model.device),
                max_new_tokens=decoding.max_tokens,
                pad_token_id=pad,
                return_dict_in_generate=True,
                output_logits=decoding.top_logprobs > 0,
                **sampling,
            )
        rows = [row[width:].tolist() for row in output.sequences]
        answers = [self._answer(ids) for ids in rows]
        if not decoding.top_logprobs:
            return answers
        most = min(decoding.top_logprobs, self.capabilities.top_logprobs)
        return [
            replace(answer, tokens=self._tokens(ids, [step[at] for step in output.logits], most))
            for at, (answer, ids) in enumerate(zip(answers, rows, strict=True))
        ]

    def _pad(self) -> int:
        """Return the id to fill rows up with; masked, so any will do."""
        return self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0

    def _answer(self, ids: list[int]) -> Answer:
        length = self._end(ids)
        text = self._tokenizer.decode(ids[:length], skip_special_tokens=True)
        return Answer(text, "length" if length is None else "stop")

    def _end(self, ids: list[int]) -> int | None:
        """Return where the first end mark stands, if there is one."""
        ends = self._model.generation_config.eos_token_id or ()
        return next((at for at, token in enumerate(ids) if token in ends), None)

    def _tokens(self, ids: list[int], logits: Sequence[Any], most: int) -> tuple[TokenScores, ...]:
        """Return the scores of an answer's tokens; `logits` are the model's own, one row each."""
        import torch

        from vtune_providers.local.pieces import candidate, pieces

        ids = ids[: self._end(ids)]
        found = []
        for at, text in enumerate(pieces(self._tokenizer, ids)):
            logs = torch.log_softmax(logits[at].float(), dim=-1)
            best = logs.topk(min(most, len(logs)))
            top = (
                (text if token == ids[at] else candidate(self._tokenizer, ids[:at], token), log)
                for token, log in zip(best.indices.tolist(), best.values.tolist(), strict=True)
            )
            found.append(TokenScores(text, float(logs[ids[at]]), tuple(top)))
        return tuple(found)

    def _score(self, prompt: Prompt, continuations: Sequence[str]) -> list[float]:
        """Run the prompt once; its cache is repeated over the continuations."""
        import torch

        prefix = torch.tensor([encode_prompt(self._tokenizer, prompt)]).to(self._model.device)
        encoded = [encode_text(self._tokenizer, text) for text in continuations]
        scores: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(encoded), SCORE_BATCH):
                scores += self._score_batch(prefix, encoded[start : start + SCORE_BATCH])
        return scores

    def _score_batch(self, prefix: Any, continuations: list[list[int]]) -> list[float]:
        import torch

        from vtune_providers.local.models import picks_logits

        only = {"logits_to_keep": 1} if picks_logits(self._model) else {}
        first = self._model(prefix, use_cache=True, **only)
        cache = first.past_key_values
        cache.batch_repeat_interleave(len(continuations))
        width = max(1, *map(len, continuations))
        pad = self._pad()
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in continuations])
        ids = ids.to(self._model.device)
        rest = self._model(ids, past_key_values=cache, use_cache=True).logits
        opening = first.logits[:, -1:].expand(len(continuations), -1, -1)
        logits = torch.cat([opening, rest[:, :-1]], dim=1).float()
        chosen = torch.log_softmax(logits, dim=-1).gather(2, ids.unsqueeze(2)).squeeze(2).double()
        lengths = torch.tensor([len(row) for row in continuations], device=ids.device)
        inside = torch.arange(width, device=ids.device) < lengths.unsqueeze(1)
        scores: list[float] = (chosen * inside).sum(dim=1).tolist()
        return scores
