from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.report.runs import Runs
from tests.report.test_html import NAMES, old, report_of
from vtune_client.errors import InputError
from vtune_client.report.schema import SCHEMAS, VerdictDocument, schema

VERDICT = schema("vtune.verdict/1")


def problems(document: Any) -> list[str]:
    found = jsonschema.Draft202012Validator(VERDICT).iter_errors(document)
    return [f"{each.json_path}: {each.message[:200]}" for each in found]


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_is_one(name: str) -> None:
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    json.dumps(found)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_recorded_keeps_to_the_schema(runs: Runs, name: str) -> None:
    recorded = runs.verdict(name)
    assert problems(recorded) == []
    # Nothing is lost in reading, either.
    read = VerdictDocument.model_validate(recorded).model_dump(mode="json", by_alias=True)
    assert read == recorded


def test_old_verdicts_keep_to_it(runs: Runs) -> None:
    recorded = old(report_of(runs, "a part")).verdict
    assert problems(recorded.model_dump(mode="json", by_alias=True, exclude_unset=True)) == []


@pytest.mark.parametrize("key", ["verdict", "p", "tests", "statement", "does_not_prove", "schema"])
def test_what_must_be_there_must_be_there(runs: Runs, key: str) -> None:
    recorded = runs.verdict("verified")
    del recorded[key]
    assert problems(recorded) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "trained"),
        (("schema",), "vtune.verdict/2"),
        (("log10_p",), 1),
        (("alpha",), 0),
        (("backdoors",), -1),
        (("share", "high"), 1.5),
        (("tests", 0, "matched"), "all"),
        (("rows", "scores", 0), [True, 0.5]),
        (("more",), 1),
        (("share", "more"), 1),
        (("tests", 1, "more"), 1),
        (("decoding", "more"), 1),
    ],
)
def test_what_must_not_be_there_must_not(
    runs: Runs, path: tuple[str | int, ...], value: Any
) -> None:
    recorded = copy.deepcopy(runs.verdict("verified"))
    place: Any = recorded
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert problems(recorded) != []


def test_what_a_newer_program_added_is_passed_over(runs: Runs) -> None:
    recorded = runs.verdict("verified") | {"more": 1}
    assert VerdictDocument.model_validate(recorded).verdict == "verified"


def test_an_unknown_schema_is_named() -> None:
    with pytest.raises(InputError, match=r"no schema 'x'.*vtune\.verdict/1"):
        schema("x")
