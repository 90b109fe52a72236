from __future__ import annotations

import io
from typing import Any

import pytest

from tests.report.runs import Runs
from tests.report.test_html import NAMES, report_of
from vtune_client.report.junit import junit

junitparser = pytest.importorskip("junitparser")


def suites(runs: Runs, *names: str) -> list[Any]:
    """Return what another reader of JUnit finds."""
    content = junit([report_of(runs, name) for name in names])
    return list(junitparser.JUnitXml.fromroot(_parsed(content)))


def _parsed(content: bytes) -> Any:
    return junitparser.junitparser.etree.parse(io.BytesIO(content)).getroot()


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("verified", None),
        ("stopped early", None),
        ("hostile", None),
        ("a part", "Failure"),
        ("not verified", "Failure"),
        ("inconclusive", "Error"),
    ],
)
def test_the_first_case_is_the_verdict(runs: Runs, name: str, result: str | None) -> None:
    (suite,) = suites(runs, name)
    verdict = next(iter(suite))
    assert verdict.name == "verdict"
    assert [type(each).__name__ for each in verdict.result] == ([result] if result else [])
    assert (suite.failures, suite.errors) == (int(result == "Failure"), int(result == "Error"))
    assert suite.tests == len(list(suite))
    recorded = runs.verdict(name)
    said = verdict.result[0].text if result else verdict.system_out
    assert recorded["statement"] in said
    assert all(point in said for point in recorded["does_not_prove"]) or not result


def test_a_test_that_does_not_suffice_is_no_failure(runs: Runs) -> None:
    (suite,) = suites(runs, "a part")
    results = {case.name: [type(each).__name__ for each in case.result] for case in suite}
    assert results["Secret words"] == []
    assert results["Rows over the base"] == ["Skipped"]
    assert suite.skipped == sum(result == ["Skipped"] for result in results.values())


def test_every_verification_is_a_suite(runs: Runs) -> None:
    found = suites(runs, *NAMES)
    assert [suite.name for suite in found] == [runs.ids[name] for name in NAMES]
    properties = {each.name: each.value for each in found[NAMES.index("hostile")].properties()}
    assert properties["model"].startswith("ft:<script>alert('x')</script> & \"q\" <U+202E>")
    assert properties["plan"] == "plan-0"


def test_no_report_is_a_document_too() -> None:
    assert junit([]).endswith(b'<testsuites name="vtune" />\n')
