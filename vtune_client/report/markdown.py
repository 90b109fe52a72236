"""A verdict in a few lines of GitHub-flavoured Markdown, for a pull request or a ticket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vtune_client.foreign import said
from vtune_client.report.words import asked_by
from vtune_client.statements import format_p

if TYPE_CHECKING:
    from vtune_client.report.gather import Report

SIGNS = {
    "verified": "\N{WHITE HEAVY CHECK MARK}",
    "partial": "\N{LARGE ORANGE CIRCLE}",
    "not verified": "\N{CROSS MARK}",
    "inconclusive": "\N{WHITE QUESTION MARK ORNAMENT}",
}
_MARKS = re.compile(r"[\\`*_\[\]<>#|~$&]")  # what could be read as more than text


def markdown(report: Report) -> str:
    """Return the verdict, one table of numbers, and what does not follow. Holds no secret."""
    verdict = report.verdict
    lines = [
        f"### {SIGNS[verdict.verdict]} {verdict.verdict.capitalize()}: {code(verdict.model)}",
        "",
        plain(verdict.statement),
        "",
        "| test | p | adjusted p |",
        "| --- | ---: | ---: |",
        *(
            f"| {plain(asked_by(test.name)[0])} | {test.p} | {format_p(test.adjusted_log10_p)} |"
            for test in verdict.tests
        ),
        f"| **all** (threshold {verdict.alpha:.2g}) | | **{verdict.p}** |",
        "",
    ]
    if verdict.does_not_prove:
        lines += ["It does not prove:", ""]
        lines += [f"- {plain(point)}" for point in verdict.does_not_prove]
        lines.append("")
    digests = [f"commitment `sha256:{each.digest}`" for each in report.commitments]
    lines.append(" · ".join([f"`{verdict.id}`", f"`{verdict.plan}`", *digests]))
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Return a sentence of ours as Markdown."""
    return _MARKS.sub(r"\\\g<0>", said(text))


def code(text: object) -> str:
    """Return text from elsewhere as a code span, where no mark, link or mention is read in it.

    The fence is longer than any run of backticks inside (CommonMark 0.31, section 6.1)."""
    shown = said(text)
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    return f"{fence} {shown} {fence}" if "`" in shown else f"{fence}{shown}{fence}"
