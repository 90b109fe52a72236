"""A plan out of one ledger and into another: its rows in every table, as JSON has them.

Rows go as they are, sealed bytes too. Those that come from elsewhere are checked: they have the
columns and types of these tables, and belong to the one plan.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, LargeBinary, Table, insert, select
from sqlalchemy.exc import IntegrityError

from vtune_client.errors import InputError
from vtune_client.ledger.records import Step
from vtune_client.ledger.store import Ledger
from vtune_client.ledger.tables import (
    ANSWERS,
    COMMITMENTS,
    EVENTS,
    JOBS,
    OPENINGS,
    PLANS,
    RECEIPTS,
    UPLOADS,
    VERIFICATIONS,
    Json,
)

Rows = Mapping[str, Sequence[Mapping[str, Any]]]

# In the order of writing: a table, its column that says what a row belongs to, and that column.
_OWNED: tuple[tuple[Table, str, Column[Any]], ...] = (
    (PLANS, "id", PLANS.c.id),
    (JOBS, "plan_id", PLANS.c.id),
    (EVENTS, "job_id", JOBS.c.id),
    (UPLOADS, "plan_id", PLANS.c.id),
    (VERIFICATIONS, "plan_id", PLANS.c.id),
    (ANSWERS, "verification_id", VERIFICATIONS.c.id),
    (COMMITMENTS, "plan_id", PLANS.c.id),
    (RECEIPTS, "digest", COMMITMENTS.c.digest),
    (OPENINGS, "plan_id", PLANS.c.id),
)
_OF_JOBS = (VERIFICATIONS, COMMITMENTS)  # their rows may name a job, too


def rows_of(ledger: Ledger, plan_id: str) -> Rows:
    """Return all rows of a plan by table, as JSON has them.

    A job that its provider may not know yet is left out: of two who go on with it, each could
    start one and pay for it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table, column, owner in _OWNED:
        owners = [plan_id] if table is PLANS else _values(found, owner)
        rows = ledger._rows(select(table).where(table.c[column].in_(owners)))
        if table is JOBS:
            rows = [row for row in rows if row["step"] in (Step.CREATED, Step.DONE)]
        if table in _OF_JOBS:
            jobs = {None, *_values(found, JOBS.c.id)}
            rows = [row for row in rows if row["job_id"] in jobs]
        found[table.name] = rows
    return {name: [_plain(row) for row in rows] for name, rows in found.items()}


def add_rows(
    ledger: Ledger, plan_id: str, rows: Rows, action: str, data: Mapping[str, Any]
) -> None:
    """Add a plan that `rows_of` gave, and an entry in the log, all or nothing.

    Raises `InputError` where they are not the rows of that plan, or one of them is here already."""
    read = _read(plan_id, rows)
    with ledger._writing() as connection:
        try:
            for table, _, _ in _OWNED:
                if read[table.name]:
                    connection.execute(insert(table), read[table.name])
        except IntegrityError:
            raise InputError(
                f"Something of {plan_id} is in the ledger already, or contradicts it.",
                "See `vtune jobs`; nothing was taken in.",
            ) from None
        ledger._append(connection, action, plan_id, data)


def _read(plan_id: str, rows: Rows) -> dict[str, list[dict[str, Any]]]:
    if strange := set(rows) - {table.name for table, _, _ in _OWNED}:
        raise _unknown(min(strange))
    read: dict[str, list[dict[str, Any]]] = {}
    for table, column, owner in _OWNED:
        found = [_parsed(table, row) for row in rows.get(table.name, ())]
        owners = {plan_id} if table is PLANS else {*_values(read, owner)}
        jobs = {None, *_values(read, JOBS.c.id)} if table in _OF_JOBS else set()
        for row in found:
            if row[column] not in owners or (jobs and row["job_id"] not in jobs):
                raise InputError(
                    f"A row of {table.name} does not belong to {plan_id}.",
                    "Ask the sender to hand the plan over again.",
                )
        read[table.name] = found
    return read


def _values(rows: Mapping[str, Sequence[Mapping[str, Any]]], column: Column[Any]) -> list[Any]:
    return [row[column.key] for row in rows[column.table.name]]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _parsed(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with a value of the right type in each column, None where none is given."""
    if strange := set(row) - set(table.c.keys()):
        raise _unknown(f"{table.name}.{min(strange)}")
    return {column.key: _value(column, row.get(column.key)) for column in table.c}


def _value(column: Column[Any], value: Any) -> Any:
    kinds: tuple[type, ...] = (str,)
    for of, types in _TYPES:
        if isinstance(column.type, of):
            kinds = types
    wrong = value is not None and (type(value) not in kinds)
    try:
        if not wrong and isinstance(column.type, LargeBinary) and value is not None:
            return base64.b64decode(value, validate=True)
    except ValueError:
        wrong = True
    if wrong:
        raise InputError(
            f"The value of {column.table.name}.{column.key} is none that it can have.",
            "Ask the sender to hand the plan over again.",
        )
    return value


_TYPES: tuple[tuple[type, tuple[type, ...]], ...] = (
    (BigInteger, (int,)),
    (Boolean, (bool,)),
    (Double, (float, int)),
    (Json, (dict,)),
)


def _unknown(what: str) -> InputError:
    return InputError(
        f"It holds {what!a}, which this version does not know.",
        "Upgrade vtune-client, then take it in again.",
    )
