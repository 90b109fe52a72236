"""What an audit's file may say: every table and key, checked at the edge."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
SHORTEST_S = 60.0
NAME = r"^[^@\s][^\n\r\t]{0,99}$"


def seconds(text: Any) -> Any:
    """Return a duration such as "7d" or "12h" in seconds; anything else as it is."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text) if type(text) is str else None
    return float(found[1]) * UNITS[found[2]] if found else text


Name = Annotated[str, Field(pattern=NAME)]
Names = Name | list[Name]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Money = Annotated[float, Field(ge=0)]
Duration = Annotated[float, BeforeValidator(seconds), Field(ge=SHORTEST_S)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Table(BaseModel):
    """A table: a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Webhook(Table):
    """Whom to tell of outcomes; `secret_env` names the variable that holds the signing secret."""

    url: HttpUrl
    secret_env: Variable
    on: Literal["change", "failure"] = "change"


class AuditTable(Table):
    """`[audit]`: what holds for all checks. Paths are relative to the file."""

    name: Name
    concurrency: Positive = 4
    alpha: Share = 1e-6
    policy: str = 'outcome("verified") & survives()'
    multiplicity: Literal["holm", "e-bh"] = "holm"
    html: str | None = None
    junit: str | None = None
    markdown: str | None = None
    reports: str | None = None
    webhooks: tuple[Webhook, ...] = ()


class VendorTable(Table):
    """`[vendors.NAME]`: who trains and serves, and how it is reached.

    `connect` holds what is no secret; `connect_env` names the variables that hold what is."""

    provider: str = "openai"
    base_url: str | None = None
    connect: dict[str, Any] = {}
    api_key_env: Variable | None = None
    connect_env: dict[str, Variable] = {}


class DatasetTable(Table):
    """`[datasets.NAME]`: a file, and what is chosen about the plans drawn for it (`PlanSpec`)."""

    file: str
    backdoors: Positive | None = None
    dose: Positive | None = None
    doses: tuple[Positive, ...] | None = None
    shards: int | None = None
    per_shard: Positive | None = None
    frames: Positive | None = None
    trigger_frames: Positive | None = None
    hold_out: int | None = None
    reserve: int | None = None
    own_prompts: int | None = None
    fresh_prompts: int | None = None
    decoys: int | None = None
    alpha: Share | None = None
    join: Literal["line", "space", "auto"] | None = None
    choose_frames: bool | None = None
    choose_rows: bool | None = None
    usual_words: bool | None = None
    own_phrases: bool | None = None
    stealthy: bool = False


class RecipeTable(Table):
    """`recipe`: how to train (`JobSpec`)."""

    method: str | None = None
    epochs: Positive | None = None
    batch_size: Positive | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    seed: int | None = None
    suffix: str | None = None
    options: dict[str, Any] = {}


class CheckTable(Table):
    """`[[checks]]`: one check, or where `vendor`, `model` or `dataset` is a list, one of each.

    With `dataset` a model is trained and asked; with `plan` the served `model` is asked about that
    plan; with `job` the model that this job delivered is. `control` names another check; in it and
    in `name`, `{vendor}`, `{model}` and `{dataset}` stand for those of this one. `every` is how
    long a check counts; after it, it is done `again`: trained anew, or asked again."""

    name: Name
    vendor: Names | None = None
    model: Names | None = None
    dataset: Names | None = None
    plan: str | None = None
    job: str | None = None
    base: str | None = None
    recipe: RecipeTable = RecipeTable()
    budget: Money | None = None
    queries: Positive | None = None
    control: str | None = None
    policy: str | None = None
    every: Duration | None = None
    again: Literal["train", "ask"] = "train"
    tags: tuple[str, ...] = ()
    text_only: bool = False
    stop_early: bool = False
    rows: bool = True


class AuditFile(Table):
    """The whole file; `defaults` are those of every check."""

    audit: AuditTable
    vendors: dict[Name, VendorTable] = {}
    datasets: dict[Name, DatasetTable] = {}
    defaults: dict[str, Any] = {}
    checks: tuple[CheckTable, ...] = Field(min_length=1)
