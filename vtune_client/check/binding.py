"""Whether the verdict is about what was committed to: same plan, same files, same rules."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from vtune_client.attestation import LIMITS, Predicate, Statement, Subject
from vtune_client.check.findings import Finding, left_open, told
from vtune_client.check.numbers import anytime_of, matches_of
from vtune_client.check.openings import asked_numbers, spec_of
from vtune_client.commitment import TESTS
from vtune_client.plan import PlanSpec


def check_binding(statement: Statement) -> Iterator[Finding]:
    """Compare subjects, verdict and job with the commitment."""
    stated = statement.predicate
    document, verdict = stated.commitment, stated.verdict
    yield told(
        "the files",
        statement.subject == _files(stated),
        "The statement is about the two files that were committed to.",
        "The statement is about other files than those committed to.",
    )
    same = document["plan"] == verdict["plan"] == stated.plan["id"]
    job = document["job"]
    same = same and (job is None or job == verdict["job"])
    same = same and (stated.job["id"] if stated.job else None) == verdict["job"]
    same = same and (stated.job is None or stated.job["provider"] == verdict["provider"])
    yield told(
        "the plan and the job",
        same,
        "Verdict, job and commitment name the same plan and job.",
        "Verdict, job and commitment name different plans or jobs.",
    )
    if stated.job and job is not None:
        yield told(
            "the order",
            all(stated.job[name] == document[name] for name in ("provider", "job_spec")),
            "What was ordered is what was committed to.",
            "What was ordered is not what was committed to.",
        )
    if stated.job and stated.job["model"] != verdict["model"]:
        yield left_open(
            "the model",
            f"The verdict is about {verdict['model']!r}; what the job delivered is "
            f"{stated.job['model']!r}.",
        )
    yield from _rules(stated)
    yield from _times(stated)
    yield told(
        "the limits",
        stated.limits == list(LIMITS),
        "What no statement can show is said in it.",
        "What no statement can show is not said in it as it is to be.",
    )


def _files(stated: Predicate) -> list[Subject]:
    """Return the subjects that a statement about this commitment has."""
    document = stated.commitment
    files = {"training file": document["source_sha256"], "planted file": document["planted_sha256"]}
    return [Subject(name=name, digest={"sha256": sha}) for name, sha in files.items() if sha]


def _rules(stated: Predicate) -> Iterator[Finding]:
    document, verdict, spec = stated.commitment, stated.verdict, spec_of(stated.commitment)
    allowed = {name for names in TESTS.values() if isinstance(names, list) for name in names}
    names = [test["name"] for test in verdict["tests"]]
    yield told(
        "the rules",
        document["tests"] == TESTS
        and document["alpha"] == verdict["alpha"] == spec.alpha
        and set(names) <= allowed
        and "anytime" in names,
        f"Tests, their adjustment and the threshold {verdict['alpha']:g} were committed to.",
        "Tests, their adjustment or the threshold are not those committed to.",
    )
    decoding = {**verdict["decoding"], "top_logprobs": 0}  # what a service lists is its own
    asked = asked_numbers(stated)
    stakes = anytime_of(verdict).stakes
    yield told(
        "the questions",
        decoding == {**document["decoding"], "top_logprobs": 0}
        and len(stakes) == len(asked)
        and _laid_out(verdict, spec, asked)
        and verdict["reserve"] == document["reserve"]
        and all(each.prompts <= spec.prompts for each in stakes),
        "Backdoors, doses, prompts and decoding are those committed to.",
        "Backdoors, doses, prompts or decoding are not those committed to.",
    )
    fresh = [
        answer
        for own in matches_of(anytime_of(verdict))
        for answer in own[min(spec.own_prompts, len(own)) :]
    ]
    counted = {"asked": len(fresh), "activated": sum(all(each) for each in fresh)}
    yield told(
        "the fresh prompts",
        verdict["fresh_prompts"] == counted,
        f"{counted['activated']} of {counted['asked']} answers to prompts that no carrier row "
        "asks are the whole signature.",
        "The count of fresh prompts is not what the results give.",
    )


def _laid_out(verdict: Mapping[str, Any], spec: PlanSpec, asked: range) -> bool:
    """Say whether the verdict's layout is that of a plan of this spec; with an end that came early
    there is none."""
    layout = verdict["layout"]
    if layout is None:
        return all(test["name"] != "slots" for test in verdict["tests"])
    return (
        layout["doses"] == list(spec.ladder[asked.start : asked.stop])
        and all(
            shard == number // spec.per_shard
            if number < spec.kept
            else shard is None or shard in range(spec.shards)
            for number, shard in zip(asked, layout["shards"], strict=True)
        )
        and layout["layered"] is True
        and (spec.choose_rows or layout["eligible"] == 1)
    )


def _times(stated: Predicate) -> Iterator[Finding]:
    made = datetime.fromisoformat(stated.commitment["created"]).timestamp()  # in whole seconds
    stated_at = datetime.fromisoformat(stated.created).timestamp() + 1
    job, asked = stated.job, stated.verdict["created"]
    sent = [job["uploaded"]] if job else []
    stamps = [math.floor(stated.plan["created"]), made, *sent, asked, stated_at]
    yield told(
        "the times",
        stamps == sorted(stamps) and (job is None or job["created"] <= job["uploaded"]),
        "By the auditor's clock the commitment was made before the upload, and that before the "
        "model was asked.",
        "By the auditor's own clock plan, commitment, upload, questions and statement are out of "
        "order.",
    )
