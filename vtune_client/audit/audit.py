"""An audit, ready to be done: every check with its vendor, its data and its policy."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vtune_client.audit.policy import Policy
from vtune_client.errors import InputError, SecretsError
from vtune_client.plan_spec import PlanSpec
from vtune_client.provider import load

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Vendor:
    """Who trains and serves. `connect_env` maps keywords of the provider to the environment
    variables that hold them; no secret is kept here."""

    name: str
    provider: str
    base_url: str | None = None
    connect: Mapping[str, Any] = field(default_factory=dict)
    connect_env: Mapping[str, str] = field(default_factory=dict)

    def connection(self) -> dict[str, Any]:
        """Return how the provider is reached, secrets included: handle it as such.

        `SecretsError` where a variable that holds a secret is not set, `InputError` where one that
        stands in the address is not, or where a secret would stand in the file."""
        known = load(self.provider).recorded
        if bare := sorted(set(self.connect) - known):
            raise InputError(
                f"{bare[0]!r} of the vendor {self.name} may be a secret, and files are read by "
                "others.",
                f'Put it into the environment: connect_env = {{ {bare[0]} = "VARIABLE" }}.',
            )
        secret = {key: _from_environment(name, self.name) for key, name in self.connect_env.items()}
        address = {"base_url": _filled(self.base_url, self.name)} if self.base_url else {}
        return {**self.connect, **address, **secret}


@dataclass(frozen=True)
class Dataset:
    """A file, and what is chosen about the plans drawn for it."""

    name: str
    file: Path
    spec: PlanSpec

    @cached_property
    def digest(self) -> str:
        """What tells plans of this data from others: a hash of content and choices.

        `InputError` where the file cannot be read."""
        try:
            with self.file.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise InputError(
                f"{self.file} cannot be read: {error.strerror}.",
                f"Say where the data set {self.name} is.",
            ) from error
        # Without what is as usual: a later version with more to choose from finds nothing changed.
        usual = asdict(PlanSpec())
        chosen = {name: value for name, value in asdict(self.spec).items() if value != usual[name]}
        return digest_of({"file": found, "spec": chosen})


@dataclass(frozen=True)
class Check:
    """One check: what is trained, who is asked, against what control, and what must hold.

    `root` names the check at the end of the chain of controls: all with one root share a plan, as
    a control must be of the same plan. `every` is in seconds."""

    name: str
    root: str
    vendor: Vendor
    policy: Policy
    model: str | None = None
    dataset: Dataset | None = None
    plan: str | None = None
    job: str | None = None
    base: str | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    budget: float | None = None
    queries: int | None = None
    control: str | None = None
    every: float | None = None
    again: str = "train"
    tags: tuple[str, ...] = ()
    text_only: bool = False
    stop_early: bool = False
    rows: bool = True

    def trains(self) -> str:
        """Return a digest of what is trained: another one is another model."""
        data = self.dataset.digest if self.dataset else None
        given = [self.vendor.name, self.vendor.provider, self.model, data, self.plan, self.job]
        return digest_of({"what": given, "recipe": dict(self.recipe)})

    def asks(self) -> str:
        """Return a digest of how the model is asked and judged."""
        return digest_of([self.base, self.control, self.text_only, self.stop_early, self.rows])


@dataclass(frozen=True)
class Outputs:
    """Where the summary goes, each only if named; `reports` is a folder with a page per check."""

    html: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    reports: Path | None = None


@dataclass(frozen=True)
class Hook:
    """Whom to tell, by the variable that holds the secret to sign with."""

    url: str
    secret_env: str
    on: str = "change"

    def secret(self) -> str:
        return _from_environment(self.secret_env, f"the webhook {self.url}")


@dataclass(frozen=True)
class Audit:
    """All checks, controls before those that need them, and what holds for all of them."""

    name: str
    checks: tuple[Check, ...]
    alpha: float = 1e-6
    multiplicity: str = "holm"
    concurrency: int = 4
    outputs: Outputs = Outputs()
    hooks: tuple[Hook, ...] = ()

    def check(self, name: str) -> Check:
        """Return the check of that name; `InputError` lists those there are."""
        for check in self.checks:
            if check.name == name:
                return check
        names = ", ".join(check.name for check in self.checks)
        raise InputError(f"The audit {self.name} has no check {name!r}.", f"It has: {names}.")


def digest_of(value: Any) -> str:
    """Return a hash of plain values, the same whatever the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _from_environment(name: str, who: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SecretsError(f"{name} is not set, and {who} needs it.", f"Set {name}.")
    return value


def _filled(url: str, vendor: str) -> str:
    """Return an address with each ${NAME} in it taken from the environment."""

    def value(found: re.Match[str]) -> str:
        if not (text := os.environ.get(found[1])):
            raise InputError(
                f"{found[1]} is not set, and the address of the vendor {vendor} needs it.",
                f"Set {found[1]}.",
            )
        return text

    return _REFERENCE.sub(value, url)
