"""What a recorded verdict holds, field by field: read with it, and published as a JSON schema.

Documents are read leniently: a field that a newer program added is passed over, one that an older
program did not write is None. The schema is strict: it knows every field and allows no other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vtune_client.attestation import Reveal, Statement
from vtune_client.errors import InputError

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Log10P = Annotated[float, Field(le=0, description="log10 of a p-value")]


class Part(BaseModel):
    """A JSON object of a document."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"additionalProperties": False})


class Test(Part):
    """What every test says of itself."""

    name: str
    log10_p: Log10P
    p: Annotated[str, Field(description="p as text of two digits, rounded up")]
    adjusted_log10_p: Annotated[float, Field(le=0, description="after Holm's adjustment")]


class SlotMatch(Test):
    """How many secret words the answers hold; lists are per backdoor."""

    statistic: Count
    backdoors: Count
    probed: Count
    activated: Count
    slots: Count
    slot_sizes: list[list[int]]
    answers: list[Count]
    matched: list[Count]


class Rank(Test):
    """Ranks of the true signatures (or words) among decoys, 1 for the first."""

    statistic: float
    backdoors: Count
    ranks: list[int]
    decoys: list[int]
    method: str


class Stakes(Part):
    """How the stake of one backdoor is split."""

    slot_sizes: list[int]
    prompts: Count
    decoys: Count


class Anytime(Test):
    """Bets on the answers in the order of the plan: the first prompt of every backdoor, the second
    of every backdoor, ... A result says slot by slot whether it held the true word (null: nothing
    was read there), or is a rank."""

    log10_e: float
    backdoors: Count
    planned: Count
    stakes: list[Stakes]
    results: list[list[bool | None] | int]


class RowsTest(Test):
    """Whether uploaded rows are known better than withheld ones."""

    uploaded: Count
    withheld: Count
    statistic: float
    auc: Share
    method: str


class ShareBounds(Part):
    """The share of the file's rows that was used lies within [low, high]."""

    low: Share
    high: Share
    confidence: Share
    reasoning: str


class Shard(Part):
    """One stretch of the file, counted from 0."""

    index: Count
    share: ShareBounds
    log10_p: Log10P
    adjusted_log10_p: Log10P


class Shards(Part):
    """The file, stretch by stretch, beside the control's."""

    name: str
    log10_p: Log10P
    alpha: Share
    confidence: Share
    shards: list[Shard]
    dropped: list[int]


class Trend(Part):
    """Whether backdoors with more carriers are known better."""

    name: str
    log10_p: Log10P
    statistic: float
    backdoors: Count
    doses: list[int]
    degrees: list[float]
    dealings: Count
    method: str


class Exchange(Part):
    """A test of rows that stands outside the list of tests."""

    name: str
    log10_p: Log10P
    uploaded: Count
    withheld: Count
    statistic: float
    auc: Share
    method: str


class RowsBeside(Part):
    """The control's own test of its rows, and that of its gap to the delivered model."""

    rows: Exchange
    gap: Exchange


RowScore = Annotated[
    tuple[bool, float, int],
    Field(description="whether it was uploaded, its score, the length of its completion"),
]


class Rows(Part):
    """What is said of the rows that carry nothing."""

    outcome: Literal[
        "trained on the rows",
        "trained on the rows, without the backdoors",
        "known less than after an honest run",
        "nothing follows",
    ]
    statement: str
    alpha: Share
    control: RowsBeside | None
    kind: str | None = None
    scores: list[RowScore] = []


class Gap(Part):
    """How far the model's answers stand below the control's."""

    log10_p: Log10P
    auc: Share
    backdoors: Count
    method: str


class Control(Part):
    """The honest run that the model is compared with; lists are per backdoor."""

    source: str
    backdoors: Count
    activated: Count
    slots: list[Count]
    matched: list[Count]
    differs: list[str] = []
    gap: Gap | None
    p: Share | None
    ranks: list[int] | None = None
    decoys: list[int] | None = None
    rows: list[RowScore] | None = None
    rows_kind: str | None = None


class FreshPrompts(Part):
    """Questions of rows that carry nothing, with a trigger."""

    asked: Count
    activated: Count


class Bets(Part):
    """Where the bets stood when asking ended, and how far that was."""

    log10_e: float
    log10_p: Log10P
    p: str
    asked: Count
    planned: Count


class Decoding(Part):
    """How answers were drawn."""

    max_tokens: int
    temperature: float
    seed: int | None
    top_logprobs: Count = 0


class Layout(Part):
    """Doses and shards of the backdoors (null: spread over the whole file)."""

    doses: list[int]
    shards: list[int | None]
    layered: bool
    eligible: Share


class VerdictDocument(Part):
    """A verdict as it is recorded and printed: `vtune.verdict/1`. It holds no secret."""

    schema_: Literal["vtune.verdict/1"] = Field(alias="schema")
    id: str
    plan: str
    job: str | None
    reprobes: Annotated[str | None, Field(description="asks the reserve after this one")] = None
    created: Annotated[float, Field(description="seconds since the epoch")]
    provider: str
    endpoint: str | None = None
    model: str
    base: str | None
    verdict: Literal["verified", "partial", "not verified", "inconclusive"]
    log10_p: Log10P
    p: str
    alpha: Annotated[float, Field(gt=0, lt=1)]
    backdoors: Count
    activated: Count
    slots: Count
    slots_matched: Count
    tests: list[Anytime | SlotMatch | Rank | RowsTest]
    share: ShareBounds | None = None
    shards: Shards | None = None
    doses: Trend | None = None
    rows: Rows | None = None
    control: Control | None = None
    signs: list[str] = []
    statement: str
    proves: list[str]
    does_not_prove: list[str]
    decoding: Decoding
    fresh_prompts: FreshPrompts
    anytime: Bets | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None
    layout: Layout | None = None
    versions: dict[str, str] | None = None
    first: Annotated[Count, Field(description="number of the first backdoor asked")] = 0
    reserve: Annotated[Count | None, Field(description="backdoors of the plan not asked")] = None


SCHEMAS: dict[str, type[BaseModel]] = {
    "vtune.verdict/1": VerdictDocument,
    "vtune.statement/1": Statement,
    "vtune.reveal/1": Reveal,
}


def schema(name: str) -> dict[str, Any]:
    """Return the JSON schema (2020-12) of the documents of that name.

    Raises `InputError` where there is none."""
    if name not in SCHEMAS:
        raise InputError(f"There is no schema {name!r}.", f"There are: {', '.join(SCHEMAS)}.")
    document = SCHEMAS[name].model_json_schema(by_alias=True)
    return {
        "$schema": DIALECT,
        "$id": f"urn:{name.replace('.', ':').replace('/', ':')}",
        **document,
    }
