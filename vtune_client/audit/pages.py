"""The summary of an audit for people and machines: HTML, JUnit XML, Markdown."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from vtune_client.audit.audit import Outputs
from vtune_client.foreign import said
from vtune_client.ledger import Ledger
from vtune_client.statements import format_p
from vtune_client.writing import write_whole

STATES = {
    "holds": "Policy holds",
    "fails": "Policy fails",
    "open": "Open",
    "error": "Not checked",
    "due": "Due",
}
# The look of a state is that of the verdict which is as good or bad.
KINDS = {
    "holds": "verified",
    "fails": "not-verified",
    "open": "inconclusive",
    "error": "partial",
    "due": "inconclusive",
}
SIGNS = {
    "holds": "\N{WHITE HEAVY CHECK MARK}",
    "fails": "\N{CROSS MARK}",
    "open": "\N{WHITE QUESTION MARK ORNAMENT}",
    "error": "\N{WARNING SIGN}",
    "due": "\N{HOURGLASS}",
}


def write_outputs(outputs: Outputs, ledger: Ledger, summary: Mapping[str, Any]) -> None:
    """Write what the audit's file names, each file whole; `InputError` where one cannot be."""
    pages: dict[str, Path] = {}
    if outputs.reports:
        from vtune_client.report.gather import gather
        from vtune_client.report.html import html as report_page

        for check in summary["checks"]:
            if verification := check["verification"]:
                pages[check["name"]] = page = outputs.reports / f"{verification}.html"
                _write(page, report_page(gather(ledger, verification)).encode())
    if outputs.html:
        folder = outputs.html.parent
        links = {
            name: Path(os.path.relpath(page, folder)).as_posix() for name, page in pages.items()
        }
        _write(outputs.html, html(summary, links).encode())
    if outputs.junit:
        _write(outputs.junit, junit(summary))
    if outputs.markdown:
        _write(outputs.markdown, markdown(summary).encode())


def _write(path: Path, content: bytes) -> None:
    with suppress(OSError):  # what is wrong there shows in writing, too
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content, private=True)


def html(summary: Mapping[str, Any], links: Mapping[str, str]) -> str:
    """Return the page; `links` lead to the reports of checks, by name, where there are any."""
    from vtune_client.audit.multiples import multiples
    from vtune_client.report.page import render

    checks = summary["checks"]
    return render(
        "audit.html.j2",
        summary=summary,
        headline=headline(summary),
        kind=KINDS[_worst(summary)],
        made=_time(summary["created"]),
        states=STATES,
        kinds=KINDS,
        links=links,
        pictures={
            check["name"]: multiples(check["history"], summary["alpha"])
            for check in checks
            if len(check["history"]) > 1
        },
        said=said,
        format_p=format_p,
        share=share,
        alpha10=math.log10(summary["alpha"]),
        time=_time,
        reasons=reasons,
    )


def junit(summary: Mapping[str, Any]) -> bytes:
    """Return JUnit XML: a suite for the audit, a case per check.

    A policy that fails is a failure. What is open and what met trouble are errors: no result."""
    root = ElementTree.Element("testsuites", name="vtune audit")
    suite = ElementTree.SubElement(root, "testsuite", name=said(summary["audit"]))
    begun = datetime.fromtimestamp(summary["created"], UTC).replace(tzinfo=None)
    suite.set("timestamp", begun.isoformat(timespec="seconds"))
    for check in summary["checks"]:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{said(summary['audit'])}.{said(check['vendor'])}",
            name=said(check["name"]),
            time="0",
        )
        lines = [said(each) for each in explanation(check)]
        if check["state"] == "holds":
            ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
        else:
            tag = "failure" if check["state"] == "fails" else "error"
            kind = check["error"]["family"] if check["error"] else check["state"]
            found = ElementTree.SubElement(case, tag, type=kind, message=lines[0])
            found.text = "\n".join(lines)
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("skipped", "0")
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def markdown(summary: Mapping[str, Any]) -> str:
    """Return a headline, one table, and what is to be said of single checks."""
    from vtune_client.report.markdown import code, plain

    lines = [
        f"### {SIGNS[_worst(summary)]} {plain(summary['audit'])}: {plain(headline(summary))}",
        "",
        "| check | vendor | state | verdict | p | rows used |",
        "| --- | --- | --- | --- | ---: | --- |",
    ]
    for check in summary["checks"]:
        cells = [
            code(check["name"]),
            code(check["vendor"]),
            f"{SIGNS[check['state']]} {STATES[check['state']]}",
            check["verdict"] or "\N{EN DASH}",
            check["p"] or "\N{EN DASH}",
            share(check["share"]),
        ]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    rest = [check for check in summary["checks"] if check["state"] != "holds" or check["worse"]]
    if rest:
        lines += ["", *(f"- {code(each['name'])}: {plain(explanation(each)[0])}" for each in rest)]
    return "\n".join(lines) + "\n"


def headline(summary: Mapping[str, Any]) -> str:
    """Return how the audit stands in one sentence."""
    counts = summary["counts"]
    total = len(summary["checks"])
    said_of = {
        "holds": "the policy holds for {}",
        "fails": "it fails for {}",
        "open": "{} left open",
        "error": "{} could not be done",
        "due": "{} to be done",
    }
    parts = [words.format(counts[state]) for state, words in said_of.items() if counts[state]]
    return f"{total} check{'s' if total != 1 else ''}: {', '.join(parts)}."


def explanation(check: Mapping[str, Any]) -> list[str]:
    """Return sentences on one check, the one that decides first."""
    found: list[str] = []
    if error := check["error"]:
        found.append(f"{error['message']} {error['advice']}".strip())
    elif check["policy"] is None:
        found.append("It has not been done yet.")
    else:
        word = {True: "holds", False: "fails", None: "cannot be told"}[check["policy"]["holds"]]
        found.append(f"The policy {word}: {check['policy']['reason']}.")
    found += check["worse"]
    found += [check["statement"]] if check["statement"] else []
    return [*found, *check["notes"]]


def reasons(ruling: Mapping[str, Any], depth: int = 0) -> list[tuple[int, Mapping[str, Any]]]:
    """Return a ruling and those of its parts, each with its depth, in reading order."""
    below = [each for part in ruling["parts"] for each in reasons(part, depth + 1)]
    return [(depth, ruling), *below]


def share(bounds: Mapping[str, float] | None) -> str:
    """Return bounds on the share of rows used, in words."""
    if bounds is None:
        return "\N{EN DASH}"
    if bounds["high"] < 1:
        return f"{100 * bounds['low']:.0f} to {100 * bounds['high']:.0f} %"
    return f"at least {100 * bounds['low']:.0f} %"


def _worst(summary: Mapping[str, Any]) -> str:
    counts = summary["counts"]
    return next(state for state in ("fails", "error", "open", "due", "holds") if counts[state])


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
