"""Together's objects, read leniently: a field that is missing or odd is no reason to stop.

Shapes: `finetune_response.py`, `finetune_event.py`, `file_response.py` and `log_probs.py` in
`together/types/` of the SDK, and https://docs.together.ai/reference/.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from vtune_client.provider import (
    Answer,
    Checkpoint,
    JobEvent,
    JobStatus,
    State,
    TokenScores,
)
from vtune_providers.together.failures import unquoted

SUFFIX_LENGTH = 40

_STATES = {
    "pending": State.QUEUED,
    "queued": State.QUEUED,
    "running": State.RUNNING,
    "compressing": State.FINISHING,
    "uploading": State.FINISHING,
    "cancel_requested": State.CANCELLING,
    "cancelled": State.CANCELLED,
    "error": State.FAILED,
    "user_error": State.FAILED,  # the SDK's own Literal lacks it
    "completed": State.SUCCEEDED,
}
_ENDS = ("job_error", "job_user_error", "billing_limit", "job_stopped")
_LINE = re.compile(r"\b(?:line|row)\b\D{0,3}(\d+)", re.IGNORECASE)
_ODD = re.compile(r"[^a-z0-9]")


def state_of(payload: Mapping[str, Any]) -> State:
    return _STATES.get(str(payload.get("status")).lower(), State.UNKNOWN)


def status_of(payload: Mapping[str, Any]) -> JobStatus | None:
    """Return what a fine-tune object says; None where it is none."""
    job_id = payload.get("id")
    if not isinstance(job_id, str) or not job_id:
        return None
    state = state_of(payload)
    return JobStatus(
        id=job_id,
        state=state,
        model=_model_of(payload) if state is State.SUCCEEDED else None,
        error=_error_of(payload) if state is State.FAILED else None,
        progress=_progress_of(payload),
        raw=dict(payload),
    )


def suffix_for(token: str, suffix: str | None) -> str:
    """Return the suffix a job gets: the user's as far as there is room, then the token.

    Together keeps 40 characters; the token must be among them."""
    room = SUFFIX_LENGTH - len(token) - 1
    kept = (suffix or "")[: max(room, 0)].rstrip("-_. ")
    return f"{kept}-{token}" if kept else token


def is_of(payload: Mapping[str, Any], token: str, file_id: str) -> bool:
    """Return whether a job of a list is the one that was created with this token.

    The service may write the suffix its own way (case, dashes) or show it in the model's name."""
    if payload.get("training_file") != file_id:
        return False
    named = (payload.get(key) for key in ("suffix", "model_output_name", "output_name"))
    wanted = _plain(token)
    return any(wanted in _plain(name) for name in named if isinstance(name, str))


def events_of(listed: Iterable[Mapping[str, Any]]) -> list[JobEvent]:
    """Return the events, oldest first, each once."""
    found: dict[str, JobEvent] = {}
    for item in listed:
        message = item.get("message")
        kind = str(item.get("type") or "").lower()
        text = message if isinstance(message, str) and message else kind
        at = _seconds(item.get("created_at"))
        known = item.get("hash")
        name = known if isinstance(known, str) and known else _digest(item)
        found[name] = JobEvent(name, at, text, {**item})
    return sorted(found.values(), key=lambda event: event.at)


def checkpoints_of(job_id: str, listed: Iterable[Mapping[str, Any]]) -> list[Checkpoint]:
    """Return one checkpoint per step; that of the whole model before that of an adapter."""
    found: dict[int, Checkpoint] = {}
    for item in sorted(listed, key=lambda item: item.get("checkpoint") == "adapter"):
        step = item.get("step")
        if not isinstance(step, int):
            continue
        name = item.get("object_name")
        model = name if isinstance(name, str) and name else f"{job_id}:{step}"
        found.setdefault(step, Checkpoint(f"{job_id}:{step}", step, model))
    return [found[step] for step in sorted(found)]


def file_state(payload: Mapping[str, Any]) -> bool | None:
    """Return whether a file may be trained on; None while the service has not decided."""
    status = payload.get("processing_status")
    report = payload.get("validation_report")
    if isinstance(report, Mapping) and report.get("valid") is False:
        return False
    if isinstance(status, str):
        return {"COMPLETED": True, "FAILED": False, "INVALID_FORMAT": False}.get(status.upper())
    older = payload.get("Processed", payload.get("processed"))
    # Nothing said: a file of a kind that is not looked into.
    return None if older is False else True


def file_fault(payload: Mapping[str, Any]) -> str:
    """Return why a file was refused: the kind of fault and the line. The rest may quote a row."""
    report = payload.get("validation_report")
    report = report if isinstance(report, Mapping) else {}
    kind = report.get("error_type") or payload.get("processing_status") or "no reason given"
    line = _LINE.search(str(report.get("error") or ""))
    shown = unquoted(str(kind), 60)
    return f"{shown}, line {line[1]}" if line else shown


def answer_of(payload: Mapping[str, Any]) -> Answer | None:
    """Return the first choice of a chat or a completion; None where there is none."""
    choice = _first(payload.get("choices"))
    if choice is None:
        return None
    reason = str(choice.get("finish_reason") or "stop").lower()[:40]
    finish = "stop" if reason == "eos" else reason
    tokens = token_scores(choice.get("logprobs"))
    if any(math.isnan(token.logprob) for token in tokens):
        tokens = ()
    message = choice.get("message")
    if isinstance(message, Mapping):
        content = message.get("content")
        refusal = message.get("refusal")
        if isinstance(refusal, str) and refusal:
            return Answer(content if isinstance(content, str) and content else refusal, "refusal")
        if isinstance(content, str) or content is None:
            return Answer(content or "", finish, tokens)
    text = choice.get("text")
    return Answer(text, finish, tokens) if isinstance(text, str) else None


def token_scores(logprobs: Any) -> tuple[TokenScores, ...]:
    """Return the tokens of Together's `logprobs`, or of OpenAI's, which some models give.

    A log-probability that is missing, such as that of a prompt's first token, is not a number."""
    if not isinstance(logprobs, Mapping):
        return ()
    if isinstance(logprobs.get("content"), list):
        return tuple(_scored(each) for each in logprobs["content"] if isinstance(each, Mapping))
    tokens, values = logprobs.get("tokens"), logprobs.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(values, list):
        return ()
    tops = logprobs.get("top_logprobs")
    tops = tops if isinstance(tops, list) else []
    return tuple(
        TokenScores(
            str(token),
            float(value) if isinstance(value, int | float) else math.nan,
            _candidates(tops[at]) if at < len(tops) else (),
        )
        for at, (token, value) in enumerate(zip(tokens, values, strict=False))
    )


def echoed(payload: Mapping[str, Any]) -> tuple[TokenScores, ...]:
    """Return the tokens of the prompt that an `echo` brought back; () where there are none."""
    prompt = _first(payload.get("prompt"))
    if prompt is not None:
        return token_scores(prompt.get("logprobs"))
    choice = _first(payload.get("choices"))
    return token_scores(choice.get("logprobs")) if choice else ()


def score_of(tokens: tuple[TokenScores, ...], continuation: str) -> float | None:
    """Return the log-probability of the tokens that make up the last occurrence of the text.

    A token that reaches into the text counts whole. None where the text is not to be found."""
    texts = [_as_text(token.text) for token in tokens]
    start = "".join(texts).rfind(continuation)
    if not continuation or start <= 0:
        return None
    end, at, total = start + len(continuation), 0, 0.0
    for token, text in zip(tokens, texts, strict=True):
        if at < end and at + len(text) > start:
            total += token.logprob
        at += len(text)
    return None if math.isnan(total) else total


def _model_of(payload: Mapping[str, Any]) -> str | None:
    keys = ("model_output_name", "output_name", "model_object_name", "adapter_object_name")
    names = (payload.get(key) for key in keys)
    return next((name for name in names if isinstance(name, str) and name), None)


def _error_of(payload: Mapping[str, Any]) -> str:
    listed = payload.get("events")
    events = [event for event in listed if isinstance(event, dict)] if listed else []
    for event in reversed(events):
        kind = str(event.get("type")).lower()
        level = str(event.get("level")).lower()
        if (kind in _ENDS or "error" in level) and (said := unquoted(event.get("message"))):
            return said
    if str(payload.get("status")).lower() == "user_error":
        return "the service finds fault with the job or its file"
    return "the service gives no reason"


def _progress_of(payload: Mapping[str, Any]) -> float | None:
    for done, of in (("steps_completed", "total_steps"), ("epochs_completed", "n_epochs")):
        finished, whole = payload.get(done), payload.get(of)
        if isinstance(finished, int) and isinstance(whole, int) and whole > 0:
            return min(1.0, max(0.0, finished / whole))
    return None


def _scored(item: Mapping[str, Any]) -> TokenScores:
    listed = item.get("top_logprobs")
    top = [each for each in listed if isinstance(each, Mapping)] if listed else []
    value = item.get("logprob")
    return TokenScores(
        str(item.get("token", "")),
        float(value) if isinstance(value, int | float) else math.nan,
        tuple((str(each.get("token")), float(each.get("logprob") or 0.0)) for each in top),
    )


def _candidates(top: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(top, Mapping):
        return ()
    pairs = [(str(text), float(v)) for text, v in top.items() if isinstance(v, int | float)]
    return tuple(sorted(pairs, key=lambda pair: -pair[1]))


def _first(listed: Any) -> Mapping[str, Any] | None:
    if isinstance(listed, list) and listed and isinstance(listed[0], Mapping):
        return listed[0]
    return None


def _as_text(token: str) -> str:
    # Some models show a token as its vocabulary spells it.
    return token.replace("\u0120", " ").replace("\u2581", " ").replace("\u010a", "\n")


def _seconds(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _digest(item: Mapping[str, Any]) -> str:
    parts = (item.get(key) for key in ("created_at", "type", "message", "step", "checkpoint_path"))
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def _plain(name: str) -> str:
    return _ODD.sub("", name.lower())
