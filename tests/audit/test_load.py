"""From a file to an audit, and what a file is told that is none."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from vtune_client.audit import load_audit
from vtune_client.audit.file import CheckTable, DatasetTable, RecipeTable
from vtune_client.audit.policy import min_share, outcome
from vtune_client.errors import InputError, SecretsError
from vtune_client.plan_spec import PlanSpec
from vtune_client.provider import JobSpec

TOML = """\
[audit]
name = "quarterly"
policy = "outcome('verified')"
html = "out/audit.html"

[[audit.webhooks]]
url = "https://hooks.example/vtune"
secret_env = "HOOK_SECRET"

[vendors.acme]
base_url = "${ACME_URL}/v1"
api_key_env = "ACME_KEY"

[vendors.ours]
provider = "local"

[datasets.support]
file = "data/support.jsonl"
backdoors = 20
dose = 1
hold_out = 30

[defaults]
every = "7d"
recipe = { epochs = 3 }

[[checks]]
name = "reference"
vendor = "ours"
model = "base"
dataset = "support"
every = "30d"

[[checks]]
name = "{vendor} on {dataset}"
vendor = ["acme", "ours"]
model = "base"
dataset = "support"
control = "reference"
policy = "min_share(0.8)"
[checks.recipe]
batch_size = 4
"""

YAML = """\
audit:
  name: quarterly
vendors:
  acme: {base_url: "http://127.0.0.1:1/v1"}
checks:
  - name: served
    vendor: acme
    model: tuned
    plan: plan-1
  - name: delivered
    vendor: acme
    job: job-1
    again: ask
    every: 12h
"""


def written(folder: Path, text: str, name: str = "audits.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = load_audit(written(tmp_path, TOML))
    assert [check.name for check in audit.checks] == [
        "reference",
        "acme on support",
        "ours on support",
    ]
    reference, acme, _ = audit.checks
    assert (reference.every, acme.every) == (30 * 86400, 7 * 86400)
    assert (reference.recipe, acme.recipe) == ({"epochs": 3}, {"epochs": 3, "batch_size": 4})
    assert (reference.root, acme.root, acme.control) == ("reference",) * 3
    assert (reference.policy, acme.policy) == (outcome("verified"), min_share(0.8))
    assert acme.dataset
    assert acme.dataset.file == (tmp_path / "data/support.jsonl").resolve()
    assert acme.dataset.spec == PlanSpec(backdoors=20, dose=1, held_out=30)
    assert audit.outputs.html == tmp_path / "out/audit.html"
    monkeypatch.setenv("ACME_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ACME_KEY", "sk-1")
    assert acme.vendor.connection() == {"base_url": "http://127.0.0.1:9/v1", "api_key": "sk-1"}


def test_yaml_does_as_well(tmp_path: Path) -> None:
    audit = load_audit(written(tmp_path, YAML, "audits.yaml"))
    served, delivered = audit.checks
    assert (served.plan, served.model, served.again) == ("plan-1", "tuned", "train")
    assert (delivered.job, delivered.every, delivered.again) == ("job-1", 43200, "ask")


def test_secrets_come_from_the_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = load_audit(written(tmp_path, TOML)).check("acme on support").vendor
    monkeypatch.delenv("ACME_KEY", raising=False)
    monkeypatch.setenv("ACME_URL", "http://127.0.0.1:9")
    with pytest.raises(SecretsError, match="ACME_KEY is not set, and acme needs it"):
        acme.connection()
    monkeypatch.setenv("ACME_KEY", "sk-1")
    monkeypatch.delenv("ACME_URL")
    with pytest.raises(InputError, match="ACME_URL is not set"):
        acme.connection()
    text = TOML.replace('api_key_env = "ACME_KEY"', 'connect = { api_key = "sk-1" }')
    with pytest.raises(InputError, match="'api_key' of the vendor acme may be a secret"):
        load_audit(written(tmp_path, text)).check("acme on support").vendor.connection()


def test_a_plan_without_numbers_goes_by_the_rows(tmp_path: Path) -> None:
    text = TOML.replace("backdoors = 20\ndose = 1\n", "")
    dataset = load_audit(written(tmp_path, text)).check("reference").dataset
    assert dataset
    assert dataset.spec == PlanSpec(held_out=30, by_rows=True)
    stealthy = text.replace("hold_out = 30", "stealthy = true")
    dataset = load_audit(written(tmp_path, stealthy)).check("reference").dataset
    assert dataset
    assert dataset.spec == PlanSpec.stealthy()


def test_the_tables_know_all_that_can_be_chosen() -> None:
    plan = {each.name for each in fields(PlanSpec)} - {"by_rows", "held_out"}
    assert set(DatasetTable.model_fields) == plan | {"file", "stealthy", "hold_out"}
    recipe = {each.name for each in fields(JobSpec)} - {"model", "validation_file"}
    assert set(RecipeTable.model_fields) == recipe
    assert "recipe" in CheckTable.model_fields


def replaced(old: str, new: str) -> str:
    assert old in TOML
    return TOML.replace(old, new, 1)


WRONG = {
    "no TOML": (replaced('name = "quarterly"', "name = quarterly"), 2, "Invalid value"),
    "an unknown key": (replaced("api_key_env", "api_key_enw"), 12, "no key 'api_key_enw'"),
    "an unknown table": (replaced("[vendors.ours]", "[vendor.ours]"), 14, "no key 'vendor'"),
    "an unknown default": (replaced('every = "7d"', 'evry = "7d"'), 24, "no key 'evry'"),
    "an unknown step": (replaced("batch_size", "batchsize"), 42, "no key 'batchsize'"),
    "no duration": (replaced('every = "30d"', 'every = "soon"'), 32, "checks.0.every"),
    "too short": (replaced('every = "30d"', 'every = "1s"'), 32, "checks.0.every"),
    "no vendor": (replaced('vendor = "ours"', 'vendor = "our"'), 29, "the vendor 'our'"),
    "no dataset": (replaced('dataset = "support"', 'dataset = "x"'), 31, "the dataset 'x'"),
    "no control": (replaced('control = "reference"', 'control = "x"'), 39, "the control 'x'"),
    "no policy": (replaced("min_share(0.8)", "min_shar(0.8)"), 40, "no policy 'min_shar'"),
    "no plan": (replaced("dose = 1", "dose = 0"), 20, "datasets.support.dose"),
    "an odd plan": (replaced("dose = 1", "dose = 1\nown_prompts = 2"), 17, "prompts of its own"),
    "one name twice": (replaced("{vendor} on {dataset}", "all"), 35, "Two checks are named"),
    "nothing to ask": (replaced('dataset = "support"\n', ""), 28, "a dataset, a plan or a job"),
    "two to ask": (replaced('model = "base"', 'model = "base"\njob = "j"'), 31, "dataset and job"),
    "a circle": (
        replaced('every = "30d"', 'control = "acme on support"'),
        39,
        "round in a circle",
    ),
    "a key in the file": (replaced("secret_env", "secret"), 8, "no key 'secret'"),
    "no address": (replaced("https://hooks", "ftp://hooks"), 7, "audit.webhooks.0.url"),
    "a bad alpha": (replaced('name = "quarterly"', 'name = "q"\nalpha = 2'), 3, "audit.alpha"),
    "stops early": (
        replaced('control = "reference"', 'control = "reference"\nstop_early = true'),
        39,
        "every question asked",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_its_line(case: str, tmp_path: Path) -> None:
    text, line, says = WRONG[case]
    path = written(tmp_path, text)
    with pytest.raises(InputError) as refused:
        load_audit(path)
    assert refused.value.message.startswith(f"{path}:{line}: "), refused.value.message
    assert says in refused.value.message
    assert refused.value.advice


def test_a_suggestion_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        load_audit(written(tmp_path, replaced("api_key_env", "api_key_enw")))
    assert refused.value.advice == "Did you mean 'api_key_env'?"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (YAML.replace("again: ask", "agin: ask"), 13),
        (YAML.replace("plan: plan-1", "plan: [1"), 10),
        (YAML.replace("every: 12h", "every: often"), 14),
    ],
)
def test_yaml_is_told_its_line_too(text: str, line: int, tmp_path: Path) -> None:
    path = written(tmp_path, text, "audits.yml")
    with pytest.raises(InputError, match=re.escape(f"{path}:{line}: ")):
        load_audit(path)


@pytest.mark.parametrize(
    ("content", "says"), [(b"\xff", "not text in UTF-8"), (b"", "audit: Field required")]
)
def test_no_file_of_an_audit(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "audits.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        load_audit(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_audit(tmp_path / "missing.toml")
    listed = written(tmp_path, "- a\n- b\n", "audits.yaml")
    with pytest.raises(InputError, match="holds no tables"):
        load_audit(listed)


def test_a_dataset_is_known_by_content_and_choices(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data/support.jsonl"
    file.write_text("{}\n", encoding="utf-8")

    def terms(text: str = TOML) -> tuple[str, str]:
        check = load_audit(written(tmp_path, text)).check("acme on support")
        return check.trains(), check.asks()

    trains, asks = terms()
    assert terms() == (trains, asks)
    assert terms(replaced("min_share(0.8)", "no_signs()")) == (trains, asks)
    assert terms(replaced("dose = 1", "dose = 2")) != (trains, asks)
    assert terms(replaced("batch_size = 4", "batch_size = 8")) != (trains, asks)
    asked = terms(replaced('control = "reference"', 'control = "reference"\nrows = false'))
    assert (asked[0], asked[1] == asks) == (trains, False)
    file.write_text("{}\n{}\n", encoding="utf-8")
    assert terms()[0] != trains
    file.unlink()
    with pytest.raises(InputError, match="Say where the data set support is"):
        terms()
