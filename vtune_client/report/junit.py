"""Verdicts as JUnit XML, as Jenkins, GitLab and GitHub's reporters read it.

A suite is a verification, its first case the verdict: a failure where the model is partial or not
verified, an error where the verdict is inconclusive. An error is what CI calls a check that gave no
result; skipped would be green, and silence must not pass for proof. The tests follow as cases of
their own. One that does not reach the threshold by itself is skipped, since the verdict needs one
that does, not all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from vtune_client.foreign import said
from vtune_client.report.words import asked_by
from vtune_client.statements import format_p

if TYPE_CHECKING:
    from vtune_client.report.gather import Report
    from vtune_client.report.schema import Test, VerdictDocument


def junit(reports: Sequence[Report]) -> bytes:
    """Return one XML document in UTF-8, a suite per report. Holds no secret."""
    root = ElementTree.Element("testsuites", name="vtune")
    for report in reports:
        _suite(root, report)
    ElementTree.indent(root)
    found: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def _suite(root: ElementTree.Element, report: Report) -> None:
    verdict = report.verdict
    suite = ElementTree.SubElement(root, "testsuite", name=said(verdict.id))
    begun = datetime.fromtimestamp(verdict.created, UTC)
    suite.set("timestamp", begun.replace(tzinfo=None).isoformat(timespec="seconds"))
    suite.set("time", f"{verdict.seconds or 0:.2f}")
    facts = {
        "model": verdict.model,
        "provider": verdict.provider,
        "plan": verdict.plan,
        "p": verdict.p,
        "threshold": f"{verdict.alpha:.2g}",
        **{f"commitment {n}": each.digest for n, each in enumerate(report.commitments, 1)},
    }
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=name, value=said(value))
    _verdict(suite, verdict)
    for test in verdict.tests:
        _test(suite, verdict, test)
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))


def _verdict(suite: ElementTree.Element, verdict: VerdictDocument) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"vtune.{said(verdict.id)}", name="verdict"
    )
    case.set("time", f"{verdict.seconds or 0:.2f}")
    tag = {"partial": "failure", "not verified": "failure", "inconclusive": "error"}
    if verdict.verdict in tag:
        outcome = ElementTree.SubElement(case, tag[verdict.verdict])
        outcome.set("type", verdict.verdict)
        outcome.set("message", f"{verdict.verdict}, p = {verdict.p}")
        said_in_full = [verdict.statement, *verdict.proves, "It does not prove:"]
        outcome.text = "\n".join(map(said, [*said_in_full, *verdict.does_not_prove]))
    else:
        out = ElementTree.SubElement(case, "system-out")
        out.text = said(verdict.statement)


def _test(suite: ElementTree.Element, verdict: VerdictDocument, test: Test) -> None:
    name, question = asked_by(test.name)
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"vtune.{said(verdict.id)}", name=said(name), time="0"
    )
    adjusted = format_p(test.adjusted_log10_p)
    found = f"{question} p = {test.p}, adjusted for all tests {adjusted}".strip()
    if test.adjusted_log10_p <= math.log10(verdict.alpha):
        ElementTree.SubElement(case, "system-out").text = said(found)
    else:
        ElementTree.SubElement(case, "skipped", message=said(found))
