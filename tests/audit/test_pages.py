"""The summary as HTML, JUnit XML, Markdown and text."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tests.audit.conftest import ONE, Audited
from tests.audit.test_runner import GROUP, aged
from tests.memory import Service
from vtune_client.audit import load_audit, pages
from vtune_client.audit.pages import html, junit, markdown
from vtune_client.audit.runner import Progress
from vtune_client.audit.text import render_summary, watching
from vtune_client.client import VTune
from vtune_client.errors import InputError, ProviderError

OUTPUTS = 'html = "out/a.html"\njunit = "out/a.xml"\nmarkdown = "a.md"\nreports = "out/each"\n'
HOSTILE = '<script>alert(1)</script>" | `x` \u202e\x00 &amp; ]]>'


@pytest.fixture
def summary(audited: Audited, memory: Service) -> dict[str, Any]:
    """A check of every state."""
    memory.mute = {"tuned-by-remote-1"}
    strict = ONE.replace('"one"', '"strict"')
    found = audited(GROUP + strict + 'policy = "min_share(0.99)"\n')
    found["checks"].append(
        {
            **found["checks"][0],
            "name": HOSTILE,
            "vendor": HOSTILE,
            "state": "error",
            "error": {"family": "vendor", "message": HOSTILE, "advice": HOSTILE, "exit_code": 4},
        }
    )
    found["checks"].append({**found["checks"][0], "name": "due", "state": "due", "policy": None})
    found["counts"] |= {"error": 1, "due": 1}
    return found


def test_the_page_shows_every_check_and_escapes_all(summary: dict[str, Any]) -> None:
    page = html(summary, {"strict": "each/verification-1.html"})
    assert "<script>" not in page
    assert "\u202e" not in page
    assert '<a href="each/verification-1.html">The full report of strict</a>' in page
    for words in ("Policy holds", "Policy fails", "Not checked", "Due", "reference"):
        assert words in page
    assert page.count("<h1") == 1


def test_junit_has_a_case_per_check(summary: dict[str, Any]) -> None:
    (suite,) = ElementTree.fromstring(junit(summary))  # noqa: S314 - ours
    cases = {case.get("name"): case for case in suite}
    assert suite.get("tests") == str(len(cases)) == "6"
    assert (suite.get("failures"), suite.get("errors")) == ("2", "2")
    failure = cases["acme"].find("failure")
    assert failure is not None
    assert str(failure.get("message")).startswith("The policy fails: the verdict is not verified")
    assert cases["due"].find("error") is not None
    assert cases["reference"].find("system-out") is not None


def test_markdown_is_one_table(summary: dict[str, Any]) -> None:
    lines = markdown(summary).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 6
    assert all(row.replace("\\|", "").count("|") == 7 for row in rows)
    assert "\u202e" not in markdown(summary)


def test_text_says_what_does_not_hold(summary: dict[str, Any]) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render_summary(summary))
    shown = console.export_text()
    assert "acme: The policy fails: the verdict is not verified" in shown
    assert "reference: " not in shown


def test_files_are_written_whole_where_the_audit_says(
    audited: Audited, folder: Path, home: Path
) -> None:
    found = audited(ONE, OUTPUTS)
    page = (folder / "out/a.html").read_text(encoding="utf-8")
    (report,) = (folder / "out/each").iterdir()
    assert report.name == f"{found['checks'][0]['verification']}.html"
    assert f'href="each/{report.name}"' in page
    assert {path.name for path in folder.iterdir()} >= {"a.md", "out"}
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.html", "a.xml", "each"]
    with VTune(home=home) as vtune:
        plan = vtune.open_plan(found["checks"][0]["plan"])
    secrets = [each.signature for each in plan.backdoors] + [
        each.trigger for each in plan.backdoors
    ]
    for path in [*folder.rglob("*.html"), folder / "a.md", folder / "out/a.xml"]:
        text = path.read_text(encoding="utf-8")
        assert not [secret for secret in secrets if secret in text]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        pages._write(tmp_path / "file" / "a.html", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_runs_over_time_are_drawn(
    audited: Audited, memory: Service, folder: Path, home: Path
) -> None:
    every = ONE + 'every = "1d"\nagain = "ask"\n'
    audited(every, OUTPUTS)
    assert "Run by run" not in (folder / "out/a.html").read_text(encoding="utf-8")
    aged(home, 2 * 86400)
    memory.mute = {"tuned-by-remote-0"}
    found = audited(every, OUTPUTS)
    (check,) = found["checks"]
    assert check["worse"] == [
        "The verdict was verified, and is inconclusive.",
        "The same backdoors are answered less well than in the run before "
        "(exact rank sum, adjusted p = 7.3e-12).",
    ]
    page = (folder / "out/a.html").read_text(encoding="utf-8")
    assert "Run by run" in page
    assert "worth a question to the vendor, and by itself no more" in page
    assert page.count('class="dot"') == 2 + 1 + 2  # an inconclusive run states no share


def test_a_line_for_every_change_where_there_is_no_terminal(
    audited: Audited, write: Callable[..., Path]
) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    seen: list[Progress] = []
    with watching(load_audit(write()), console, live=False) as tell:

        def both(progress: Progress) -> None:
            seen.append(progress)
            tell(progress)

        audited(tell=both)
    lines = [line.split(maxsplit=2)[1:] for line in console.export_text().splitlines()]
    assert lines == [
        ["one", "uploading"],
        ["one", "succeeded"],
        ["one", "asking"],
        ["one", "verified"],
    ]
    assert [each.share for each in seen if each.doing == "asking"][-1] == 1.0


def test_a_table_that_is_drawn_anew_in_a_terminal(
    audited: Audited, write: Callable[..., Path]
) -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True)
    with watching(load_audit(write()), console, live=True) as tell:
        audited(tell=tell)
        tell(Progress("one", "running", 0.5, 0.25))
        tell(Progress("one", "verified", 1.0))
    assert isinstance(console.file, io.StringIO)
    last = console.file.getvalue().rpartition("state")[2]
    assert "verified" in last
    assert "0.250" in last  # the loss stays


def test_errors_of_vendors_are_shown_as_theirs(audited: Audited, memory: Service) -> None:
    memory.faults = [ProviderError(HOSTILE, "Ask them.")]
    found = audited()
    for text in (html(found, {}), markdown(found), junit(found).decode()):
        assert "<script>" not in text
        assert "\u202e" not in text
