"""The ledger's tables as SQLAlchemy Core sees them; `schema` makes them.

Every listing is in the order in which things were written: `ROWID` breaks ties. SQLite has it in
every table, on PostgreSQL it is a column of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnClause,
    Dialect,
    Double,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    literal_column,
)

ROWID: ColumnClause[int] = literal_column("rowid")


def storable(text: str) -> str:
    """Return text that both databases take: words from elsewhere may hold half a surrogate pair
    or a zero byte."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


class Words(TypeDecorator[str]):
    """Text from anywhere."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class Json(TypeDecorator[Any]):
    """A value as JSON text, in the order it has; keys are sorted where it is looked for by value.

    Text, not a database's own JSON type: what is signed or hashed must come back as it was."""

    impl = Text
    cache_ok = True

    def __init__(self, *, sort_keys: bool = False) -> None:
        super().__init__()
        self.sort_keys = sort_keys

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        plain = dict(value) if isinstance(value, Mapping) else value
        return json.dumps(plain, sort_keys=self.sort_keys)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


_METADATA = MetaData()


def _table(name: str, **columns: Any) -> Table:
    return Table(name, _METADATA, *(Column(column, kind) for column, kind in columns.items()))


PLANS = _table(
    "plans",
    id=Words,
    created=Double,
    key_id=Words,
    source=Words,
    source_sha256=Words,
    rows=BigInteger,
    backdoors=BigInteger,
    carriers=BigInteger,
    bits=Double,
    sealed=LargeBinary,
    committed=Json,
)
JOBS = _table(
    "jobs",
    id=Words,
    plan_id=Words,
    created=Double,
    provider=Words,
    spec=Json,
    token=Words,
    step=Words,
    keep_planted=Boolean,
    planted_sha256=Words,
    file_id=Words,
    remote_id=Words,
    state=Words,
    progress=Double,
    model=Words,
    error=Words,
    connection=Json,
    validation_id=Words,
    budget=Double,
)
UPLOADS = _table(
    "uploads",
    provider=Words,
    address=Words,
    file_id=Words,
    plan_id=Words,
    planted_sha256=Words,
    created=Double,
)
EVENTS = _table("events", job_id=Words, id=Words, at=Double, message=Words, data=Json)
VERIFICATIONS = _table(
    "verifications",
    id=Words,
    plan_id=Words,
    job_id=Words,
    created=Double,
    target=Json(sort_keys=True),
    verdict=Json,
)
ANSWERS = _table("answers", verification_id=Words, item=Words, sealed=LargeBinary)
COMMITMENTS = _table(
    "commitments", digest=Words, plan_id=Words, job_id=Words, created=Double, document=Json
)
RECEIPTS = _table("receipts", digest=Words, receipt=Json)
SIGNERS = _table("signers", fingerprint=Words, key_id=Words, public_key=LargeBinary, created=Double)
OPENINGS = _table("openings", plan_id=Words, number=BigInteger, why=Words)
AUDIT_ENTRIES = _table(
    "audit_entries",
    audit=Words,
    entry=Words,
    run=Words,
    created=Double,
    job_id=Words,
    verification_id=Words,
    data=Json,
)
LOG = _table(
    "log",
    seq=BigInteger,
    at=Double,
    actor=Words,
    action=Words,
    subject=Words,
    data=Json,
    previous=Words,
    digest=Words,
)
