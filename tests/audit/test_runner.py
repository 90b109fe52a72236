"""What is due and what is not, against a service in memory that counts what it is asked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import tiny
from tests.audit.conftest import ONE, Audited, Done, state
from tests.memory import Service
from vtune_client.audit.runs import Runs
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.ledger import AuditEntry, Ledger
from vtune_client.patience import Patience
from vtune_client.provider import State

GROUP = """
[vendors.ours]
provider = "memory"
[vendors.cheap]
provider = "memory"

[defaults]
model = "base"
dataset = "rows"

[[checks]]
name = "reference"
vendor = "ours"

[[checks]]
name = "acme"
vendor = "acme"
control = "reference"

[[checks]]
name = "cheap"
vendor = "cheap"
control = "reference"
"""
HASTY = Patience(outage_s=0.0)


def check(summary: Done, name: str = "one") -> Done:
    return next(dict(each) for each in summary["checks"] if each["name"] == name)


def aged(home: Path, seconds: float) -> None:
    """Let all runs have ended so much earlier."""
    with Ledger(home) as ledger:
        for entry in ledger.audit_entries("test"):
            data = {**entry.data, "ended": entry.data["ended"] - seconds}
            ledger.save_audit_entry(AuditEntry(**{**vars(entry), "data": data}))


def test_nothing_is_done_twice(audited: Audited, memory: Service) -> None:
    first = audited()
    calls = list(memory.calls)
    assert (first["exit_code"], memory.count("create")) == (0, 1)
    again = audited()
    assert memory.calls == calls
    assert {**again, "created": 0} == {**first, "created": 0}


def test_one_plan_for_a_control_and_all_that_need_it(
    audited: Audited, memory: Service, home: Path
) -> None:
    summary = audited(GROUP)
    assert state(summary) == {"reference": "holds", "acme": "holds", "cheap": "holds"}
    assert len({each["plan"] for each in summary["checks"]}) == 1
    with Ledger(home) as ledger:
        assert len(ledger.plans()) == 1
        verdicts = [record.verdict for record in ledger.verifications()]
    beside = [verdict["control"] is not None for verdict in verdicts if verdict]
    assert sorted(beside) == [False, True, True]
    assert memory.count("create") == 3


def test_a_model_that_never_met_the_file(audited: Audited, memory: Service) -> None:
    """Remote jobs are numbered in the order of the checks, at one seat at a time."""
    memory.mute = {"tuned-by-remote-2"}
    summary = audited(GROUP)
    words = {each["name"]: each["verdict"] for each in summary["checks"]}
    assert words == {"reference": "verified", "acme": "verified", "cheap": "not verified"}
    assert (state(summary)["cheap"], summary["exit_code"]) == ("fails", 1)


def test_silence_without_a_control_is_open(audited: Audited, memory: Service) -> None:
    memory.mute = {"tuned-by-remote-0"}
    summary = audited()
    assert (state(summary), summary["exit_code"]) == ({"one": "open"}, 3)
    assert check(summary)["verdict"] == "inconclusive"


def test_a_control_that_fails_to_verify_is_left_out(audited: Audited, memory: Service) -> None:
    memory.mute = {"tuned-by-remote-0"}
    summary = audited(GROUP)
    assert state(summary) == {"reference": "open", "acme": "holds", "cheap": "holds"}
    assert check(summary, "acme")["notes"] == [
        "Judged without a control: reference was not verified."
    ]


SISTERS = (
    GROUP
    + """
[[checks]]
name = "acme large"
vendor = "acme"
control = "reference"
"""
)


def test_a_vendor_that_was_asked_about_a_plan_gets_another(
    audited: Audited, memory: Service
) -> None:
    audited(GROUP)
    summary = audited(SISTERS)
    plans = {each["name"]: each["plan"] for each in summary["checks"]}
    assert plans["acme large"] != plans["acme"] == plans["cheap"]
    assert plans["reference"] == plans["acme large"]  # trained anew, as its control
    assert memory.count("create") == 5


def test_all_of_one_vendor_are_trained_before_one_is_asked(audited: Audited) -> None:
    going: list[tuple[str, str]] = []
    summary = audited(SISTERS, tell=lambda each: going.append((each.check, each.doing)))
    assert len({each["plan"] for each in summary["checks"]}) == 1
    assert going.index(("acme large", "uploading")) < going.index(("acme", "asking"))


def test_after_a_while_a_check_is_due_with_a_new_plan(
    audited: Audited, memory: Service, home: Path
) -> None:
    every = GROUP.replace('name = "acme"', 'name = "acme"\nevery = "7d"')
    audited(every)
    aged(home, 6 * 86400)
    assert check(audited(every), "acme")["run"] == 1
    aged(home, 1.01 * 86400)
    summary = audited(every)
    runs = {each["name"]: each["run"] for each in summary["checks"]}
    assert runs == {"reference": 2, "acme": 2, "cheap": 1}  # a new plan wants its own control
    first, second = check(summary, "acme")["history"]
    assert first["plan"] != second["plan"]
    assert check(summary, "reference")["plan"] == second["plan"]
    assert memory.count("create") == 5


def test_asked_again_it_is_the_same_model(audited: Audited, memory: Service, home: Path) -> None:
    again = GROUP.replace('name = "acme"', 'name = "acme"\nevery = "7d"\nagain = "ask"')
    audited(again)
    aged(home, 8 * 86400)
    asked = memory.count("sample")
    summary = audited(again)
    first, second = check(summary, "acme")["history"]
    assert (first["plan"], first["job"]) == (second["plan"], second["job"])
    assert first["verification"] != second["verification"]
    assert (memory.count("create"), memory.count("sample") > asked) == (3, True)


def test_what_is_asked_for_counts_and_what_is_demanded_does_not(
    audited: Audited, memory: Service
) -> None:
    audited()
    calls = list(memory.calls)
    strict = ONE + 'policy = "min_share(0.99)"\ntags = ["x"]\nbudget = 3\n'
    summary = audited(strict)
    assert (state(summary), summary["exit_code"]) == ({"one": "fails"}, 1)
    assert memory.calls == calls
    summary = audited(ONE + "recipe = { epochs = 2 }\n")
    assert (check(summary)["run"], memory.count("create")) == (2, 2)
    summary = audited(ONE + "recipe = { epochs = 2 }\nrows = false\n")  # asks anew, trains not
    assert (check(summary)["run"], memory.count("create")) == (3, 2)


def test_a_file_that_changed_is_checked_anew(
    audited: Audited, memory: Service, folder: Path
) -> None:
    first = check(audited())["plan"]
    tiny.write_rows(folder / "rows.jsonl", 61)
    second = check(audited())
    assert (second["run"], second["plan"] != first, memory.count("create")) == (2, True, 2)


class Told(Exception):
    """The bug of a plug-in; its text must not get out."""


def test_bad_input_comes_before_a_vendors_trouble(audited: Audited, memory: Service) -> None:
    memory.faults = [ProviderError("No.", "Ask.")]
    gone = '[vendors.gone]\nprovider = "gone"\n' + ONE.replace('"acme"', '"gone"')
    summary = audited(gone.replace('"one"', '"gone"') + ONE)
    families = {each["name"]: each["error"]["family"] for each in summary["checks"]}
    assert (families, summary["exit_code"]) == ({"gone": "input", "one": "vendor"}, 2)


@pytest.mark.parametrize(
    ("error", "family", "code"),
    [
        (ProviderError("We do not take this file.", "Ask us."), "vendor", 4),
        (NetworkError("No answer came.", acted=False), "network", 4),
        (Told("sk-secret"), "bug", 70),
    ],
)
def test_one_vendor_does_not_stop_the_others(
    error: Exception, family: str, code: int, audited: Audited, memory: Service
) -> None:
    two = ONE + ONE.replace('"one"', '"two"')
    memory.faults = [error]
    summary = audited(two, patience=HASTY)
    assert state(summary) == {"one": "error", "two": "holds"}
    assert check(summary)["error"]["family"] == family
    assert "sk-secret" not in str(summary)
    assert summary["exit_code"] == code
    assert state(audited(two)) == {"one": "holds", "two": "holds"}
    assert len(memory.jobs) == 2


def test_a_vendor_that_is_not_there_any_more(audited: Audited, folder: Path) -> None:
    missing = ONE.replace('vendor = "acme"', 'vendor = "gone"')
    summary = audited('[vendors.gone]\nprovider = "gone"\n' + missing)
    assert (check(summary)["error"]["family"], summary["exit_code"]) == ("input", 2)


def test_a_secret_that_is_missing(audited: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GONE_KEY", raising=False)
    keyed = '[vendors.gone]\nprovider = "memory"\napi_key_env = "GONE_KEY"\n'
    summary = audited(keyed + ONE.replace('vendor = "acme"', 'vendor = "gone"'))
    assert (check(summary)["error"]["family"], summary["exit_code"]) == ("secrets", 5)


def test_a_job_that_failed_stays_so_until_it_is_retried(audited: Audited, memory: Service) -> None:
    memory.end = State.FAILED
    summary = audited()
    assert (check(summary)["error"]["family"], summary["exit_code"]) == ("vendor", 4)
    memory.end = State.SUCCEEDED
    assert check(audited())["error"] == check(summary)["error"]
    assert memory.count("create") == 1
    assert state(audited(retry=True)) == {"one": "holds"}
    assert memory.count("create") == 2


def test_a_budget_of_questions_is_no_reason_to_train_anew(
    audited: Audited, memory: Service
) -> None:
    summary = audited(ONE + "queries = 3\n")
    assert (check(summary)["error"]["family"], summary["exit_code"]) == ("input", 2)
    assert state(audited(ONE + "queries = 300\n")) == {"one": "holds"}
    assert memory.count("create") == 1


def test_a_failed_job_stays_on_record(audited: Audited, memory: Service, home: Path) -> None:
    memory.end = State.FAILED
    audited()
    with Ledger(home) as ledger:
        (run,) = Runs(ledger, "test").all()
        assert [job.id for job in ledger.jobs()] == [run.job]
    assert run.error
    assert run.ended


def test_trouble_of_a_control_is_trouble_of_those_that_need_it(
    audited: Audited, memory: Service
) -> None:
    memory.faults = [ProviderError("Closed.", "Come back tomorrow.")]
    summary = audited(GROUP)
    errors = [check(summary, name)["error"] for name in ("reference", "acme")]
    assert [error["family"] for error in errors] == ["vendor", "vendor"]
    assert errors[1]["message"] == "Its control reference has no verdict. Closed."
    assert state(audited(GROUP)) == {"reference": "holds", "acme": "holds", "cheap": "holds"}
    assert len(memory.jobs) == 3


def test_only_what_is_named_is_done(audited: Audited, memory: Service) -> None:
    summary = audited(GROUP, only=("acme",))
    assert state(summary) == {"reference": "holds", "acme": "holds", "cheap": "due"}
    assert (memory.count("create"), summary["exit_code"]) == (2, 0)
    memory.mute = {"tuned-by-remote-2"}
    assert audited(GROUP, only=("cheap",))["exit_code"] == 1
    assert audited(GROUP, only=("acme",))["exit_code"] == 0
    with pytest.raises(InputError, match="It has: reference, acme, cheap"):
        audited(GROUP, only=("dear",))


def test_a_plan_and_a_job_that_are_there_are_asked_about(audited: Audited, memory: Service) -> None:
    done = check(audited())
    served = f"""
    [[checks]]
    name = "job"
    vendor = "acme"
    job = "{done["job"]}"
    [[checks]]
    name = "plan"
    vendor = "acme"
    plan = "{done["plan"]}"
    model = "tuned-by-remote-0"
    [[checks]]
    name = "base"
    vendor = "acme"
    plan = "{done["plan"]}"
    model = "base"
    control = "plan"
    """
    summary = audited(served)
    words = {each["name"]: each["verdict"] for each in summary["checks"]}
    assert words == {"job": "verified", "plan": "verified", "base": "not verified"}
    assert memory.count("create") == 1
    asked = memory.count("sample")
    audited(served)
    assert memory.count("sample") == asked


def test_a_control_of_another_plan_is_refused(audited: Audited) -> None:
    two = audited(ONE + ONE.replace('"one"', '"two"'))
    checks = "".join(
        f'[[checks]]\nname = "{name}"\nvendor = "acme"\njob = "{check(two, name)["job"]}"\n'
        for name in ("one", "two")
    )
    summary = audited(checks + 'control = "one"\n')
    assert "is of another plan" in check(summary, "two")["error"]["message"]


def test_verdicts_made_just_before_a_kill_are_taken_over(
    audited: Audited, memory: Service, home: Path
) -> None:
    made = check(audited())["verification"]
    asked = memory.count("sample")
    with Ledger(home) as ledger:
        runs = Runs(ledger, "test")
        (run,) = runs.all()
        runs.save(run, verification=None, ended=None)
    assert check(audited())["verification"] == made
    assert memory.count("sample") == asked


def test_a_run_begun_on_other_terms_is_finished_first(
    audited: Audited, memory: Service, home: Path
) -> None:
    audited()
    with Ledger(home) as ledger:
        runs = Runs(ledger, "test")
        (run,) = runs.all()
        runs.save(run, verification=None, ended=None, trains="other")
    summary = audited()
    assert [len(check(summary)["history"]), check(summary)["run"]] == [2, 2]
    assert memory.count("create") == 2


def test_the_ledger_says_who_ran_when(audited: Audited, home: Path) -> None:
    before = time.time()
    audited()
    with Ledger(home) as ledger:
        (run,) = Runs(ledger, "test").all()
    assert run.asked
    assert run.ended
    assert before <= run.began <= run.asked <= run.ended <= time.time()
