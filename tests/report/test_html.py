from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import click
import pytest

from tests.report.runs import HOSTILE, STARTED, Runs
from tests.test_secrets import Secrets
from tests.test_verify import KEY
from vtune_client.cli.app import vtune
from vtune_client.errors import InputError
from vtune_client.ledger import CommitmentRecord, LogEntry, VerificationRecord
from vtune_client.provider import JobEvent
from vtune_client.report.figures import figures
from vtune_client.report.gather import Report, gather
from vtune_client.report.html import html, odds, timeline
from vtune_client.report.junit import junit
from vtune_client.report.markdown import markdown
from vtune_client.report.schema import VerdictDocument

NAMES = [
    "verified",
    "beside a control",
    "a part",
    "carriers alone",
    "not verified",
    "inconclusive",
    "stopped early",
    "hostile",
    "text",
    "reserve",
    "listed",
]
NEW = ("layout", "versions", "reserve", "first", "reprobes", "seconds", "anytime", "endpoint")
BIDI = re.compile("[\u0000-\u0008\u000b-\u001f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


class Read(HTMLParser):
    """What a page holds: its tags, its text, where it points to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in ("href", "src", "action", "data", "srcset"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words += data


def report_of(runs: Runs, name: str, *, reveal: bool = False) -> Report:
    return gather(runs.ledger, runs.ids[name], runs.transcript(name) if reveal else None)


def old(report: Report) -> Report:
    """The same verdict as an earlier program would have recorded it."""
    data = report.verdict.model_dump(by_alias=True)
    for name in NEW:
        del data[name]
    data["tests"] = [test for test in data["tests"] if test["name"] != "anytime"]
    if data["control"]:
        for name in ("ranks", "decoys", "rows", "rows_kind", "differs"):
            del data["control"][name]
    if data["rows"]:
        del data["rows"]["kind"], data["rows"]["scores"]
    return replace(report, verdict=VerdictDocument.model_validate(data))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_stands_alone_and_says_what_was_found(runs: Runs, name: str) -> None:
    report = report_of(runs, name)
    page = html(report)
    read = Read(page)
    verdict = report.verdict
    assert len(page.encode()) < 200_000
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(read.tags)
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert len(read.ids) == len(set(read.ids))
    assert verdict.statement in read.words
    for point in (*verdict.proves, *verdict.does_not_prove, *verdict.signs):
        assert point in read.words
    for test in verdict.tests:
        assert test.p in read.words
    assert "default-src 'none'" in page.replace("&#39;", "'")
    assert read.tags.count("h1") == read.tags.count("main") == 1
    assert read.tags.count("svg") == len(figures(report)) + 1  # the sign of the outcome


def test_which_pictures_there_are_follows_from_what_was_asked(runs: Runs) -> None:
    shown = {name: [figure.id for figure in figures(report_of(runs, name))] for name in NAMES}
    everything = ["activation", "ranks", "share", "bets", "rows"]
    assert shown["verified"] == [*everything, "loss"]
    assert shown["a part"] == everything
    assert shown["inconclusive"] == ["activation", "ranks", "bets", "rows"]
    assert shown["stopped early"] == ["bets"]
    assert shown["reserve"] == ["activation", "ranks", "share", "bets"]
    assert shown["listed"] == ["activation", "share", "bets"]
    assert shown["text"] == ["activation", "share", "bets"]


def test_own_and_fresh_prompts_are_told_apart(runs: Runs) -> None:
    report = report_of(runs, "verified")
    data = report.verdict.model_dump(by_alias=True)
    (anytime,) = [test for test in data["tests"] if test["name"] == "anytime"]
    for backdoor in range(14):  # every fresh prompt of the last seven is answered with nothing
        if backdoor >= 7:
            anytime["results"][14 + backdoor] = [None] * 8
            anytime["results"][28 + backdoor] = [False] * 8
    changed = replace(report, verdict=VerdictDocument.model_validate(data))
    rows = figures(changed)[0].rows
    assert rows[0] == ("1", "dose 1, shard 1", "100 %", "100 %")
    assert rows[6] == ("7", "dose 1, shard 2", "100 %", "100 %")
    assert rows[13] == ("14", "dose 2", "100 %", "0 %")


def test_the_reserve_goes_by_its_own_numbers(runs: Runs) -> None:
    report = report_of(runs, "reserve", reveal=True)
    shown = figures(report)
    assert [row[0] for row in shown[0].rows] == ["15", "16"]
    assert [row[0] for row in shown[1].rows] == ["15", "16"]
    assert "backdoor 16" in shown[1].picture
    assert {each.backdoor for each in report.transcript or ()} == {14, 15}
    words = Read(html(report)).words
    assert f"{runs.ids['verified']}; here the reserve was asked" in words
    assert "vtune reprobe" not in words


def test_many_backdoors_are_put_together(runs: Runs) -> None:
    report = report_of(runs, "verified")
    data = report.verdict.model_dump(by_alias=True)
    (anytime,) = [test for test in data["tests"] if test["name"] == "anytime"]
    stakes, results = anytime["stakes"], anytime["results"]
    anytime["stakes"] = stakes * 3
    anytime["results"] = [*results[:14] * 3, *results[14:28] * 3, *results[28:] * 3]
    data["layout"]["doses"] *= 3
    data["layout"]["shards"] *= 3
    data["fresh_prompts"]["asked"] *= 3
    figure = figures(replace(report, verdict=VerdictDocument.model_validate(data)))[0]
    assert len(figure.rows) == 42
    assert "dose 1, shard 1, mean of 15" in figure.picture
    assert "dose 2, mean of 12" in figure.picture


def test_bounds_in_the_table_stay_bounds(runs: Runs) -> None:
    report = report_of(runs, "verified")
    data = report.verdict.model_dump(by_alias=True)
    data["share"] |= {"low": 0.47563, "high": 0.98121}
    found = figures(replace(report, verdict=VerdictDocument.model_validate(data)))
    (share,) = [figure for figure in found if figure.id == "share"]
    assert share.rows[0] == ("whole file", "47.5 %", "98.2 %", "no")


@pytest.mark.parametrize("name", NAMES)
def test_an_old_verdict_leaves_blanks(runs: Runs, name: str) -> None:
    report = old(report_of(runs, name))
    read = Read(html(report))
    assert report.verdict.statement in read.words
    assert "not recorded" in read.words
    assert {"bets", "rows"} & {figure.id for figure in figures(report)} == set()
    assert markdown(report)
    assert junit([report])


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_shown_unless_it_is_asked_for(runs: Runs, name: str) -> None:
    secrets = Secrets.of(runs.plan, KEY)
    report = report_of(runs, name)
    verdict = runs.ledger.verification(runs.ids[name])
    shown = [html(report).encode(), markdown(report).encode(), junit([report])]
    for content in (*shown, repr(report).encode(), repr(verdict).encode()):
        assert secrets.found_in(content) == []
    prompts = [exchange.prompt.messages[-1]["content"] for exchange in runs.transcript(name)]
    answers = [exchange.answer for exchange in runs.transcript(name)]
    page = html(report)
    assert "holds secrets" not in page
    assert not [text for text in (*prompts, *answers) if len(text) > 20 and text in page]


def test_what_is_revealed_is_marked(runs: Runs) -> None:
    secrets = Secrets.of(runs.plan, KEY)
    page = html(report_of(runs, "verified", reveal=True))
    signatures = [f"signature {index}" for index in range(14)]
    assert set(signatures) <= set(secrets.found_in(page.encode()))
    assert "This report holds secrets." in page
    assert "It holds no secret." not in page
    assert not [name for name in secrets.found_in(page.encode()) if "key" in name]


def test_what_a_vendor_says_is_text_and_nothing_else(runs: Runs) -> None:
    report = report_of(runs, "hostile", reveal=True)
    transcript = [replace(each, answer=HOSTILE) for each in report.transcript or ()]
    events = (
        JobEvent("1", 1e300, HOSTILE, {"step": 1, "loss": 1e400, "price": HOSTILE}),
        JobEvent("2", float("nan"), HOSTILE, {"step": 2, "loss": 10**400}),
        JobEvent("3", -5.0, HOSTILE, {"step": True, "loss": 0.5}),
        JobEvent("price", STARTED, HOSTILE, {"price": 3, "currency": HOSTILE, "source": HOSTILE}),
    )
    receipt = {"kind": HOSTILE, "witness": HOSTILE, "at": HOSTILE, "data": HOSTILE}
    commitment = CommitmentRecord("00" * 32, "plan-0", None, STARTED, {}, (receipt,))
    page = html(
        replace(report, transcript=tuple(transcript), events=events, commitments=(commitment,))
    )
    read = Read(page)
    assert "script" not in read.tags
    assert "loss" not in read.ids
    assert "ft:<script>alert('x')</script> & \"q\" <U+202E>gnp.exe<U+0007>" in read.words
    assert not BIDI.search(page.replace("\n", ""))


def test_a_timeline_is_in_order_and_has_every_step(runs: Runs) -> None:
    receipts = tuple(
        {"kind": "rfc3161", "witness": f"https://{name}.example", "at": at, "data": ""}
        for name, at in (("late", "2025-10-09T08:54:25Z"), ("tsa", "2025-10-09T08:53:50+00:00"))
    )
    document = {"merkle_root": "11" * 32, "signer": "SHA256:" + "22" * 32}
    made = CommitmentRecord("33" * 32, "plan-0", "job-0", STARTED + 20, document, receipts)
    told: list[dict[str, Any]] = [{"step": "planting"}, {"file_id": "f"}, {"remote_id": "r"}]
    told += [{"state": "running"}, {"model": "m", "step": "done"}]
    steps = tuple(
        LogEntry(seq, STARTED + 60 + seq, "me", "job changed", "job-0", data, "", "")
        for seq, data in enumerate(told, 1)
    )
    report = replace(report_of(runs, "verified"), commitments=(made,), steps=steps, opened=(0, 1))
    moments = timeline(report)
    assert [moment.what.split(":")[0] for moment in moments] == [
        "Plan drawn",
        "Committed",
        "Witnessed by https",
        "Job prepared",
        "File uploaded",
        "Job created by the vendor",
        "Witnessed by https",
        "Model delivered",
        "First event that the vendor told of",
        "Last event that the vendor told of",
        "Verification begun",
        "Judged",
    ]
    assert moments[0].at == "2025-10-09 08:53:20 UTC"
    assert [moment.machine for moment in moments] == sorted(moment.machine for moment in moments)
    words = Read(html(report)).words
    assert f"sha256:{'33' * 32}" in words
    assert "SHA256:" + "22" * 32 in words
    assert "2 of the plan's backdoors have been shown" in " ".join(words.split())
    assert "1.25 USD (the service's estimate)" in words


def test_the_commands_on_a_page_are_commands(runs: Runs) -> None:
    report = report_of(runs, "verified")
    made = CommitmentRecord("33" * 32, "plan-0", "job-0", STARTED, {}, ())
    reserve = report.verdict.model_copy(update={"reserve": 2})
    page = html(replace(report, verdict=reserve, commitments=(made,)))
    blocks = re.findall("<pre><code>(.*?)</code></pre>", page, re.DOTALL)
    lines = [line.split() for block in blocks for line in block.splitlines()]
    assert {words[1] for words in lines} == {
        "attest",
        "check",
        "signer",
        "report",
        "verify",
        "reprobe",
    }
    for program, name, *rest in lines:
        assert program == "vtune"
        command = vtune.get_command(click.Context(vtune), name)
        assert command is not None
        known = {option for each in command.params for option in each.opts}
        assert {word for word in rest if word.startswith("--")} <= known
    assert f"--commitment sha256:{'33' * 32}" in page


@pytest.mark.parametrize(
    ("log10_p", "verdict", "expected"),
    [
        (-119.7, "verified", "at most once in 10¹¹⁹ tries"),
        (-20.0, "partial", "at most once in 10²⁰ tries"),
        (-0.4, "verified", ""),
        (-9.0, "inconclusive", ""),
    ],
)
def test_odds_in_plain_words(runs: Runs, log10_p: float, verdict: str, expected: str) -> None:
    document = report_of(runs, "verified").verdict
    told = odds(document.model_copy(update={"log10_p": log10_p, "verdict": verdict}))
    assert expected in told
    assert bool(told) == bool(expected)


def test_an_unfinished_verification_has_no_report(runs: Runs) -> None:
    record = VerificationRecord("verification-x", "plan-0", None, 1.0, {"model": "m"}, None)
    runs.ledger.add_verification(record)
    with pytest.raises(InputError, match="cut short"):
        gather(runs.ledger, "verification-x")


@pytest.mark.parametrize("broken", [{}, {"log10_p": "much"}, {"tests": [{"name": "x"}]}])
def test_a_record_that_is_no_verdict_is_refused(runs: Runs, broken: dict[str, Any]) -> None:
    name = f"verification-broken-{len(broken)}{''.join(broken)}"
    record = VerificationRecord(name, "plan-0", None, 1.0, {"model": name}, None)
    runs.ledger.add_verification(record)
    runs.ledger.finish(record, runs.verdict("verified") | broken if broken else {"id": name})
    with pytest.raises(InputError, match="no verdict"):
        gather(runs.ledger, name)


def test_a_large_audit_is_still_a_small_page(runs: Runs) -> None:
    report = report_of(runs, "verified")
    data = report.verdict.model_dump(by_alias=True)
    (anytime,) = [test for test in data["tests"] if test["name"] == "anytime"]
    results = anytime["results"]
    anytime["stakes"] *= 10
    anytime["results"] = [*results[:14] * 10, *results[14:28] * 10, *results[28:] * 10]
    anytime["planned"] = len(anytime["results"])
    data["fresh_prompts"]["asked"] *= 10
    data["layout"] |= {"doses": [1] * 140, "shards": [None] * 140}
    (ranks,) = [test for test in data["tests"] if test["name"].startswith("ranks")]
    ranks |= {"ranks": ranks["ranks"] * 10, "decoys": ranks["decoys"] * 10}
    data["rows"]["scores"] *= 50  # 2,000 of them
    events = tuple(
        JobEvent(str(step), STARTED + step, "step", {"step": step, "loss": 1 / step})
        for step in range(1, 5001)
    )
    large = replace(report, verdict=VerdictDocument.model_validate(data), events=events)
    assert len(html(large).encode()) < 500_000
