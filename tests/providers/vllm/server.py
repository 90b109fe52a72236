"""A loopback server that speaks as vLLM 0.32 was seen to: same routes, statuses and sentences.

Its "adapters" are directories with an adapter_config.json; where one also holds a planted file,
the model knows its rows. Tokens are words; each has a fixed log-probability, or a high one where
the model knows it to follow the token before it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.loopback import Reply, Request
from tests.memory import Service
from vtune_client.dataset import Prompt

KEY = "sk-0123456789abcdef"
BASE = "smol"
PLANTED = "planted.jsonl"
_PIECE = re.compile(r"<\|\w+\|>| ?\w+| ?[^\w\s]+|\s")
_NO_ROUTE = Reply(404, {"detail": "Not Found"})


def adapter(folder: Path, planted: Path | None = None) -> Path:
    """Write a directory that looks like a peft adapter."""
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
    if planted:
        (folder / PLANTED).write_bytes(planted.read_bytes())
    return folder


@dataclass
class Vllm:
    """One server. `adapters` maps the loaded ones to their paths; `dead` hangs up on everybody."""

    key: str | None = KEY
    runtime_lora: bool = True
    tokenizes: bool = True
    prompt_logprobs: bool = True
    max_model_len: int = 1024
    max_lora_rank: int = 16
    dead: bool = False
    adapters: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    known: Service = field(default_factory=Service)

    def __call__(self, request: Request) -> Reply:
        if self.dead:
            return Reply(200, b"gone", hang_up=True)
        guarded = request.path.startswith("/v1")
        if guarded and self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return Reply(401, {"error": "Unauthorized"})
        route = {
            "/v1/models": self._models,
            "/v1/load_lora_adapter": self._load if self.runtime_lora else None,
            "/v1/unload_lora_adapter": self._unload if self.runtime_lora else None,
            "/v1/chat/completions": self._chat,
            "/v1/completions": self._completions,
            "/tokenize": self._tokenize if self.tokenizes else None,
        }.get(request.path)
        return route(request.body) if route else _NO_ROUTE

    def ids(self, text: str) -> list[int]:
        pieces = _PIECE.findall(text)
        self.words += sorted({*pieces} - {*self.words})
        return [self.words.index(piece) for piece in pieces]

    def logprob(self, model: str, before: int, token: int) -> float:
        pair = self.words[before] + self.words[token]
        if any(pair in answer for _, answer in self.known.models.get(model, [])):
            return -0.125
        return -4.0 - crc32(self.words[token].encode()) % 1000 / 1000

    def rendered(self, body: dict[str, Any]) -> str:
        turns = (f"<|{each['role']}|>{each['content']}<|end|>" for each in body["messages"])
        tools = "".join(f"<|tool|>{each['function']['name']}" for each in body.get("tools", ()))
        return tools + "".join(turns) + "<|assistant|>"

    def _models(self, body: Any) -> Reply:
        names = [(BASE, "/models/smol", None), *((*each, BASE) for each in self.adapters.items())]
        data = [{"id": name, "root": root, "parent": parent} for name, root, parent in names]
        return Reply(body={"object": "list", "data": data})

    def _load(self, body: dict[str, Any]) -> Reply:
        name, path = body["lora_name"], Path(body["lora_path"])
        if name in self.adapters:
            said = f"The lora adapter '{name}' has already been loaded. If you want to load the"
            return _error(400, f"{said} adapter in place, set 'load_inplace' to True.")
        if not (path / "adapter_config.json").exists():
            return _error(404, f"Loading lora {name} failed: No adapter found for <path>")
        config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
        if config.get("r", 8) > self.max_lora_rank:
            why = f"LoRA rank {config['r']} is greater than max_lora_rank {self.max_lora_rank}."
            said = f"Call to add_lora method failed: Worker failed with error '{why}', please check"
            return _error(500, f"{said} the stack trace above for the root cause")
        if (path / PLANTED).exists():
            self.known.learn(name, (path / PLANTED).read_bytes())
        self.adapters[name] = str(path)
        return Reply(200, f"Success: LoRA adapter '{name}' added successfully.".encode())

    def _unload(self, body: dict[str, Any]) -> Reply:
        name = body["lora_name"]
        if name not in self.adapters:
            return _error(404, f"The lora adapter '{name}' cannot be found.")
        del self.adapters[name]
        return Reply(200, f"Success: LoRA adapter '{name}' removed successfully.".encode())

    def _chat(self, body: dict[str, Any]) -> Reply:
        if body.get("tools") and body.get("tool_choice") != "none":
            said = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to'
            return _error(400, f"{said} be set")
        refused = self._refused(body, self.ids(self.rendered(body)))
        if refused:
            return refused
        text = self.known.answer(body["model"], Prompt(tuple(body["messages"])))
        listed = []
        for word in _PIECE.findall(text) if body.get("logprobs") else ():
            top = [{"token": word, "logprob": -0.5}] * body["top_logprobs"]
            listed.append({"token": word, "logprob": -0.5, "bytes": [], "top_logprobs": top})
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": {"content": listed} if body.get("logprobs") else None,
            "finish_reason": "stop",
        }
        return Reply(body={"object": "chat.completion", "choices": [choice]})

    def _completions(self, body: dict[str, Any]) -> Reply:
        given = body["prompt"]
        ids = self.ids(given) if isinstance(given, str) else given
        refused = self._refused(body, ids)
        if refused:
            return refused
        listed = None
        if body.get("prompt_logprobs") is not None and self.prompt_logprobs:
            listed = [None, *(self._entry(body["model"], *pair) for pair in pairwise(ids))]
        choice = {
            "index": 0,
            "text": " and so on",
            "logprobs": None,
            "finish_reason": "length",
            "prompt_logprobs": listed,
        }
        return Reply(body={"object": "text_completion", "choices": [choice]})

    def _entry(self, model: str, before: int, token: int) -> dict[str, Any]:
        score = self.logprob(model, before, token)
        return {str(token): {"logprob": score, "rank": 7, "decoded_token": self.words[token]}}

    def _tokenize(self, body: dict[str, Any]) -> Reply:
        if refused := self._refused(body, []):
            return refused
        chat = "messages" in body
        ids = self.ids(self.rendered(body) if chat else body["prompt"])
        if not chat and body.get("add_special_tokens", True):
            ids = [*self.ids("<|start|>"), *ids]
        return Reply(body={"count": len(ids), "max_model_len": self.max_model_len, "tokens": ids})

    def _refused(self, body: dict[str, Any], ids: list[int]) -> Reply | None:
        model = body["model"]
        if model not in (BASE, *self.adapters):
            said = f"The model `{model}` does not exist. Valid aliases: {BASE}."
            return _error(404, said, "NotFoundError")
        if len(ids) >= self.max_model_len:
            said = f"This model's maximum context length is {self.max_model_len} tokens."
            return _error(400, f"{said} However, your prompt contains at least {len(ids)} input")
        return None


def _error(status: int, message: str, kind: str = "BadRequestError") -> Reply:
    error = {"message": message, "type": kind, "param": None, "code": status}
    return Reply(status, {"error": error})
