"""What a dishonest auditor can say of when things happened: in the log, and in receipts."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.check.evidence import TIMESTAMPED, Evidence
from tests.check.tampered import Tampering
from tests.witness.authority import Authority

TIMESTAMP = pytest.mark.skipif(not TIMESTAMPED, reason="needs openssl and the extra `timestamp`")

found_at = Tampering()


@found_at("the log", "changed or put in another order")
def a_quoted_entry_changed(e: Evidence) -> None:
    e.stated["log"]["entries"][0]["at"] = "2026-01-01T00:00:00.000000+00:00"


@found_at("the log", "changed or put in another order")
def the_head_of_the_log_left_out(e: Evidence) -> None:
    e.stated["log"]["head"] = None


@found_at("the whole log", "not those that stand in the log")
def a_quoted_entry_left_out(e: Evidence) -> None:
    del e.stated["log"]["entries"][0]


@found_at("the times", "out of order")
def a_job_begun_after_its_upload(e: Evidence) -> None:
    e.stated["job"]["created"] += 3600.0


@found_at("the order of the log", "after the file was uploaded")
def a_commitment_written_after_the_upload(e: Evidence) -> None:
    [made] = [entry for entry in e.log if entry["action"] == "commitment added"]
    [sent] = [entry for entry in e.log if entry["data"].get("file_id")]
    e.log.remove(made)
    e.log.insert(e.log.index(sent) + 1, made)
    e.rewrite_log()


@found_at("the order of the log", "does not stand in the log")
def a_commitment_that_was_never_written_down(e: Evidence) -> None:
    e.log = [entry for entry in e.log if entry["subject"] != e.stated["commitment_sha256"]]
    e.rewrite_log()


@found_at("the verdict in the log", "not the one that was written down")
def a_verdict_about_another_model(e: Evidence) -> None:
    e.verdict["model"] = "tuned-by-somebody-else"


@found_at("plan and job in the log", "remote_id")
def another_job_at_the_service(e: Evidence) -> None:
    e.stated["job"]["remote_job"] = "remote-7"


@found_at("plan and job in the log", "rows")
def a_larger_file(e: Evidence) -> None:
    e.stated["plan"]["rows"] += 1000


@found_at("secrecy", "opened before they were asked about")
def backdoors_that_were_known_before(e: Evidence) -> None:
    [told] = [entry for entry in e.log if entry["action"] == "backdoors opened"]
    e.log.remove(told)
    e.log.insert(2, told)
    e.rewrite_log()


@found_at("receipt 1", "no receipt of a witness")
def a_receipt_with_a_remark(e: Evidence) -> None:
    e.receipt("log")["remark"] = "seen"


@found_at("receipt 1", "of a kind that this version does not know")
def a_receipt_of_another_kind(e: Evidence) -> None:
    e.receipt("log")["kind"] = "notary"


@found_at("receipt 1", "states another time")
def an_earlier_time_on_a_receipt(e: Evidence) -> None:
    e.receipt("log")["at"] = "2026-01-01T00:00:00+00:00"


@found_at("the receipts in the log", "left out or changed")
def a_receipt_left_out(e: Evidence) -> None:
    del e.stated["receipts"][0]


@found_at("the receipts in the log", "left out or changed")
def a_receipt_by_another_name(e: Evidence) -> None:
    e.receipt("log")["witness"] = "a notary"


@found_at("receipt 1", "only after the file was uploaded")
def a_witness_asked_after_the_upload(e: Evidence) -> None:
    first, digest = e.witness_log.rstrip(b"\n"), e.stated["commitment_sha256"]
    at = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    previous = hashlib.sha256(first).hexdigest()
    line = json.dumps({"seq": 2, "at": at, "digest": digest, "previous": previous}).encode()
    e.witness_log += line + b"\n"
    e.receipt("log").update(at=at, data=base64.b64encode(line).decode())


@found_at("receipt 2", "for something else", marks=TIMESTAMP)
def a_timestamp_of_something_else(e: Evidence) -> None:
    e.document["created"] = "2026-01-01T00:00:00+00:00"
    e.commit_anew()


@found_at("receipt 2", "another time", marks=TIMESTAMP)
def an_earlier_time_on_a_timestamp(e: Evidence) -> None:
    e.receipt("rfc3161")["at"] = "2026-01-01T00:00:00+00:00"


@found_at("receipt 2", "no good", marks=TIMESTAMP)
def a_timestamp_with_a_bit_turned(e: Evidence) -> None:
    raw = bytearray(base64.b64decode(e.receipt("rfc3161")["data"]))
    raw[-3] ^= 1
    e.receipt("rfc3161")["data"] = base64.b64encode(raw).decode()


@found_at("receipt 2", "cannot be read", marks=TIMESTAMP)
def a_timestamp_cut_short(e: Evidence) -> None:
    raw = base64.b64decode(e.receipt("rfc3161")["data"])
    e.receipt("rfc3161")["data"] = base64.b64encode(raw[:-20]).decode()


@found_at("receipt 2", "not base64", marks=TIMESTAMP)
def a_timestamp_that_is_no_base64(e: Evidence) -> None:
    e.receipt("rfc3161")["data"] = "?"


def other_roots(folder: Path) -> bytes:
    """The root certificate of an authority that has signed nothing here."""
    return Authority(folder).root_pem
