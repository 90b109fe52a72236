"""From an audit's file to an audit; everything wrong is said with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from vtune_client.audit.audit import Audit, Check, Dataset, Hook, Outputs, Vendor
from vtune_client.audit.expression import policy_from
from vtune_client.audit.file import (
    AuditFile,
    AuditTable,
    CheckTable,
    DatasetTable,
    RecipeTable,
    VendorTable,
    Webhook,
)
from vtune_client.audit.policy import Policy
from vtune_client.audit.source import Place, Source, read_source
from vtune_client.errors import InputError
from vtune_client.plan_spec import PlanSpec

ADVICE = "docs/audits.md lists all keys."
LADDER = frozenset({"backdoors", "dose", "doses", "shards", "per_shard"})
AXES = ("vendor", "model", "dataset")
TABLES: dict[Place, type[BaseModel]] = {
    (): AuditFile,
    ("audit",): AuditTable,
    ("audit", "webhooks", "*"): Webhook,
    ("vendors", "*"): VendorTable,
    ("datasets", "*"): DatasetTable,
    ("checks", "*"): CheckTable,
    ("checks", "*", "recipe"): RecipeTable,
    ("defaults",): CheckTable,
}


def load_audit(path: str | Path) -> Audit:
    """Return the audit that a TOML or YAML file describes.

    `InputError` with file and line for what cannot be: unknown keys, names that are not defined,
    policies that cannot be read, controls that go round in a circle or are of another plan."""
    source = read_source(Path(path))
    return _Loader(source, _validated(source)).audit()


def _validated(source: Source) -> AuditFile:
    data = dict(source.data)
    defaults, checks = data.get("defaults", {}), data.get("checks", [])
    if isinstance(defaults, dict) and isinstance(checks, list):
        for key in sorted(set(defaults) - (set(CheckTable.model_fields) - {"name"})):
            raise _unknown(source, ("defaults", key))
        data["checks"] = [
            _merged(defaults, check) if isinstance(check, dict) else check for check in checks
        ]
    try:
        return AuditFile.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        first = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
        place = tuple(first["loc"])
        if first["type"] == "extra_forbidden":
            raise _unknown(source, place) from None
        name = ".".join(map(str, place)) or "the file"
        raise source.error(place, f"{name}: {first['msg']}.", ADVICE) from None


def _merged(defaults: Mapping[str, Any], check: Mapping[str, Any]) -> dict[str, Any]:
    """Return a check over the defaults; recipes are put together key by key."""
    merged = {**defaults, **check}
    one, other = defaults.get("recipe"), check.get("recipe")
    if isinstance(one, dict) and isinstance(other, dict):
        merged["recipe"] = {**one, **other}
    return merged


def _unknown(source: Source, place: Place) -> InputError:
    *table, key = place
    known = next((model for at, model in TABLES.items() if _matches(at, tuple(table))), None)
    names = sorted(known.model_fields) if known else []
    close = get_close_matches(str(key), names, n=1)
    where = f" in [{'.'.join(map(str, table))}]" if table else ""
    hint = f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(names)}."
    return source.error(place, f"There is no key {key!r}{where}.", hint)


def _matches(pattern: Place, place: Place) -> bool:
    pairs = zip(pattern, place, strict=False)
    return len(pattern) == len(place) and all(one in ("*", other) for one, other in pairs)


class _Loader:
    """Resolves names of one file."""

    def __init__(self, source: Source, file: AuditFile) -> None:
        self._source, self._file = source, file
        self._folder = source.path.parent

    def audit(self) -> Audit:
        table = self._file.audit
        vendors = {name: _vendor(name, each) for name, each in self._file.vendors.items()}
        datasets = {name: self._dataset(name, each) for name, each in self._file.datasets.items()}
        found: dict[str, tuple[int, Check]] = {}
        for number, check in enumerate(self._file.checks):
            for single in _singles(check):
                made = self._check(number, single, vendors, datasets)
                if made.name in found:
                    raise self._wrong(
                        number,
                        "name",
                        f"Two checks are named {made.name!r}.",
                        "Names are unique; put {vendor}, {model} or {dataset} into that of a list.",
                    )
                found[made.name] = number, made
        return Audit(
            name=table.name,
            checks=tuple(self._in_order(found)),
            alpha=table.alpha,
            multiplicity=table.multiplicity,
            concurrency=table.concurrency,
            outputs=Outputs(
                **{
                    each.name: self._folder / path
                    for each in fields(Outputs)
                    if (path := getattr(table, each.name)) is not None
                }
            ),
            hooks=tuple(Hook(str(each.url), each.secret_env, each.on) for each in table.webhooks),
        )

    def _check(
        self,
        number: int,
        table: CheckTable,
        vendors: Mapping[str, Vendor],
        datasets: Mapping[str, Dataset],
    ) -> Check:
        self._refuse_mixed(number, table)
        recipe = {
            name: value
            for name, value in table.recipe.model_dump().items()
            if value is not None and value != {}
        }
        rest = table.model_dump(exclude={*AXES, "recipe", "policy", "control", "name"})
        where = {axis: getattr(table, axis) or "" for axis in AXES}
        name = _worded(table.name, where)
        return Check(
            name=name,
            root=name,
            vendor=self._named(number, "vendor", table.vendor, vendors),
            model=str(table.model) if table.model else None,
            dataset=(
                self._named(number, "dataset", table.dataset, datasets) if table.dataset else None
            ),
            recipe=recipe,
            policy=self._policy(number, table.policy),
            control=_worded(table.control, where) if table.control else None,
            **rest,
        )

    def _refuse_mixed(self, number: int, table: CheckTable) -> None:
        """Refuse a check that does not say in one way what is asked."""
        given = [key for key in ("dataset", "plan", "job") if getattr(table, key)]
        if len(given) != 1:
            said = " and ".join(given) or "none of them"
            raise self._wrong(
                number,
                given[-1] if given else "name",
                f"A check has a dataset, a plan or a job, and this one has {said}.",
                "Name a dataset to train on, or what is there already to be asked about.",
            )
        if table.model is None and not table.job:
            raise self._wrong(number, "name", "The check names no model.", "Say model = ...")

    def _named(self, number: int, key: str, name: Any, known: Mapping[str, Any]) -> Any:
        if name in known:
            return known[name]
        close = get_close_matches(str(name), known, n=1)
        there = ", ".join(known) or "none"
        hint = f"Did you mean {close[0]!r}?" if close else f"There is: {there}."
        what = f"no {key}" if name is None else f"the {key} {name!r}, which is not there"
        raise self._wrong(number, key, f"The check names {what}.", hint)

    def _policy(self, number: int, text: str | None) -> Policy:
        place: Place = ("audit", "policy") if text is None else ("checks", number, "policy")
        try:
            return policy_from(self._file.audit.policy if text is None else text)
        except InputError as error:
            raise self._source.error(place, error.message, error.advice) from None

    def _dataset(self, name: str, table: DatasetTable) -> Dataset:
        given = table.model_dump(exclude={"file", "stealthy"}, exclude_none=True)
        if "hold_out" in given:
            given["held_out"] = given.pop("hold_out")
        given.setdefault("alpha", self._file.audit.alpha)
        try:
            if table.stealthy:
                spec = PlanSpec.stealthy(**given)
            else:
                spec = PlanSpec(**given, by_rows=not LADDER & set(given))
        except InputError as error:
            raise self._source.error(("datasets", name), error.message, error.advice) from None
        return Dataset(name, (self._folder / table.file).resolve(), spec)

    def _in_order(self, found: Mapping[str, tuple[int, Check]]) -> Iterator[Check]:
        """Yield the checks, controls first, each with its root."""
        done: dict[str, Check] = {}

        def visit(name: str, above: tuple[str, ...]) -> Check:
            if name in done:
                return done[name]
            number, check = found[name]
            if check.control is not None:
                self._refuse_control(number, check, found, above)
                check = replace(check, root=visit(check.control, (*above, name)).root)
            done[name] = check
            return check

        for name in found:
            visit(name, ())
        yield from done.values()

    def _refuse_control(
        self,
        number: int,
        check: Check,
        found: Mapping[str, tuple[int, Check]],
        above: tuple[str, ...],
    ) -> None:
        control = str(check.control)
        if control in (*above, check.name):
            raise self._wrong(number, "control", "Controls go round in a circle.", "Break it.")
        if control not in found:
            self._named(number, "control", control, {name: name for name in found})
        other = found[control][1]
        if check.dataset and (other.plan or other.job):
            raise self._wrong(
                number,
                "control",
                f"A new plan is drawn for {check.name}, and {control} has one already.",
                "A control is of the same plan: let both name the dataset, or both the plan.",
            )
        if check.dataset and check.dataset != other.dataset:
            raise self._wrong(
                number,
                "control",
                f"{control} is trained on another dataset than {check.name}.",
                "A control is of the same plan, and so of the same dataset.",
            )
        if check.stop_early or other.stop_early:
            raise self._wrong(
                number,
                "control",
                "A comparison with a control needs every question asked.",
                "Leave out the control, or stop_early in both.",
            )

    def _wrong(self, number: int, key: str, what: str, advice: str) -> InputError:
        return self._source.error(("checks", number, key), what, advice)


def _vendor(name: str, table: VendorTable) -> Vendor:
    key = {"api_key": table.api_key_env} if table.api_key_env else {}
    return Vendor(name, table.provider, table.base_url, table.connect, {**table.connect_env, **key})


def _singles(table: CheckTable) -> Iterator[CheckTable]:
    """Yield a check for every combination of what its lists name."""
    lists = [each if isinstance(each := getattr(table, axis), list) else [each] for axis in AXES]
    for chosen in product(*lists):
        yield table.model_copy(update=dict(zip(AXES, chosen, strict=True)))


def _worded(text: str, where: Mapping[str, Any]) -> str:
    for axis, value in where.items():
        text = text.replace(f"{{{axis}}}", str(value))
    return text
