"""All that a reader of a statement can be given, as really made, to be tampered with.

Two kinds of people tamper. Somebody else has no key: `envelope` is what he sends. The auditor can
sign what he likes: then `envelope` is None, and what stands in `statement` is signed anew with his
key.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests import memory, plugins
from tests.conftest import PASSPHRASE
from tests.loopback import Loopback
from tests.memory import BASE, Service
from tests.test_verify_rows import write_rows
from tests.witness.authority import Authority
from vtune_client import PlanSpec, VTune
from vtune_client.check.numbers import judged_again
from vtune_client.commitment import digest_of, leaf_hash, merkle_root, streams_of
from vtune_client.dataset import Prompt
from vtune_client.draw import Streams
from vtune_client.ledger.log import GENESIS, from_json, sha256_of, to_json
from vtune_client.ledger.log import digest_of as log_digest
from vtune_client.provider import EndpointCapabilities
from vtune_client.signing import IN_TOTO, Ed25519Signer, open_envelope, public_pem
from vtune_client.vault import RootKey, open_vault
from vtune_client.vault.file_vault import Cost, FileVault

SPEC = PlanSpec(doses=(2, 2, 2, 2, 1), decoys=20, held_out=20, fresh_prompts=2, reserve=2)
TIMESTAMPED = bool(shutil.which("openssl") and importlib.util.find_spec("rfc3161_client"))
HOSTED = EndpointCapabilities(batch=8, scores=True, remembers=True)
Data = dict[str, Any]


@dataclass
class Forgetful(Service):
    """A service that does not say the first signature it is asked for, so answers can be made
    better than they were."""

    forgotten: str = ""

    def answer(self, model: str, prompt: Prompt) -> str:
        text = super().answer(model, prompt)
        self.forgotten = self.forgotten or text.split("\n")[0]
        return "I do not know." if text.startswith(self.forgotten) else text


@dataclass
class Evidence:
    """A statement with everything beside it. Files are bytes, JSON is parsed."""

    statement: Data
    seed: bytes
    reveal: Data
    everything: Data  # a reveal file that opens all there is, the root key too
    log: list[Data]
    source: bytes
    planted: bytes
    key: bytes | None  # None: not given
    commitment: str
    witness_log: bytes
    roots: bytes | None  # None: no timestamp authority could be had
    envelope: bytes | None = None
    raw: dict[str, bytes] | None = None  # files to be written as they are, in place of the above

    @property
    def stated(self) -> Data:
        return self.statement["predicate"]  # type: ignore[no-any-return]

    @property
    def verdict(self) -> Data:
        return self.stated["verdict"]  # type: ignore[no-any-return]

    @property
    def document(self) -> Data:
        return self.stated["commitment"]  # type: ignore[no-any-return]

    def test(self, name: str) -> Data:
        """The verdict's test of that name."""
        [found] = [test for test in self.verdict["tests"] if test["name"] == name]
        return found  # type: ignore[no-any-return]

    def leaf(self, number: int) -> Data:
        return self.reveal["leaves"][str(number)]  # type: ignore[no-any-return]

    def receipt(self, kind: str) -> Data:
        [found] = [each for each in self.stated["receipts"] if each["kind"] == kind]
        return found  # type: ignore[no-any-return]

    def signed(self, seed: bytes | None = None) -> Data:
        """The envelope, by the auditor or whoever has this seed."""
        payload = json.dumps(self.statement).encode()
        signer = Ed25519Signer(RootKey(seed or self.seed))
        return json.loads(signer.sign(payload, IN_TOTO))  # type: ignore[no-any-return]

    def send(self, envelope: Data) -> None:
        self.envelope = json.dumps(envelope).encode()

    def commit_anew(self) -> None:
        """Give the changed commitment the digest that it has now."""
        self.stated["commitment_sha256"] = digest_of(self.document)

    def commit_from_the_outset(self) -> None:
        """Commit to the leaves as they are in `everything`, as if it had been so before the job."""
        self.reveal, before = self.everything, self.stated["commitment_sha256"]
        opened = sorted(self.everything["leaves"].items(), key=lambda leaf: int(leaf[0]))
        self.stated["leaves"] = [leaf_hash(leaf) for _, leaf in opened]
        root = self.document["merkle_root"] = merkle_root(self.stated["leaves"])
        self.commit_anew()
        self.commitment = self.everything["commitment_sha256"] = self.stated["commitment_sha256"]
        self.stated["receipts"] = []
        self.log = [entry for entry in self.log if entry["action"] != "receipt added"]
        for entry in self.log:
            if entry["action"] == "plan drawn":
                entry["data"]["merkle_root"] = root
            if entry["subject"] == before:
                entry["subject"] = self.commitment
        self.rewrite_log()

    def settle(self) -> None:
        """Compute all that follows from the counts and ranks anew, and write the log anew."""
        verdict, draws = self.verdict, Streams(streams_of(self.stated["draws"]))
        rows = {name: verdict["rows"][name] for name in ("kind", "scores")}
        verdict |= judged_again(verdict, draws)
        verdict["rows"] |= rows
        self.rewrite_log()

    def rewrite_log(self) -> None:
        """Chain the log anew around this verdict, and quote it anew."""
        previous, stated = GENESIS, self.stated
        for seq, entry in enumerate(self.log, 1):
            if entry["action"] == "verification finished":
                entry["data"] = {
                    "verdict": self.verdict["verdict"],
                    "sha256": sha256_of(self.verdict),
                }
            entry |= {"seq": seq, "previous": previous}
            entry["digest"] = previous = log_digest(from_json(entry))
        [end] = [entry for entry in self.log if entry["action"] == "verification finished"]
        about = (stated["plan"]["id"], self.verdict["job"], self.verdict["id"])
        subjects = (*about, stated["commitment_sha256"])
        before = self.log[: end["seq"]]
        stated["log"] = {
            "entries": copy.deepcopy([entry for entry in before if entry["subject"] in subjects]),
            "head": {"seq": end["seq"], "digest": end["digest"]},
        }

    def write(self, folder: Path) -> list[object]:
        """Write everything; return the arguments of `vtune check` that name it."""
        log = "".join(json.dumps(entry) + "\n" for entry in self.log)
        files = {
            "statement.json": self.envelope or json.dumps(self.signed()).encode(),
            "reveal.json": json.dumps(self.reveal).encode(),
            "source.jsonl": self.source,
            "planted.jsonl": self.planted,
            "log.jsonl": log.encode(),
            **({"key.pem": self.key} if self.key else {}),
            "witness.log": self.witness_log,
            **({"roots.pem": self.roots} if self.roots else {}),
            **(self.raw or {}),
        }
        for name, content in files.items():
            (folder / name).write_bytes(content)
        options = {
            "--reveal": "reveal.json",
            "--file": "source.jsonl",
            "--planted": "planted.jsonl",
            "--log": "log.jsonl",
            **({"--key": "key.pem"} if self.key else {}),
            "--witness-log": "witness.log",
            **({"--roots": "roots.pem"} if self.roots else {}),
        }
        named = [each for option, name in options.items() for each in (option, folder / name)]
        return [folder / "statement.json", *named, "--commitment", self.commitment]


Tamper = Callable[[Evidence], None]


def make(folder: Path) -> Evidence:
    """Train, verify and attest with a service in memory, before a log of one's own as a witness
    and, where there can be one, a timestamp authority."""
    home = folder / "home"
    home.mkdir()
    FileVault.create(home / "vault.json", PASSPHRASE, cost=Cost(n=16, r=8, p=1))
    installed = plugins.install(
        folder / "plugins", "vtune-tests-memory", memory="tests.memory:provider"
    )
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        roots = None
        patch.setenv("VTUNE_VAULT", "file")
        patch.setenv("VTUNE_VAULT_PASSPHRASE", PASSPHRASE)
        patch.setenv("VTUNE_WITNESS_LOG", str(folder / "witness.log"))
        patch.syspath_prepend(installed)
        if TIMESTAMPED:
            authority = Authority(folder)
            server = stack.enter_context(Loopback(authority.respond))
            patch.setenv("VTUNE_TIMESTAMP_URL", server.root)
            roots = authority.root_pem
        memory.serve(Forgetful(HOSTED))
        with VTune(home=home) as vtune:
            return replace(_attested(vtune, folder), roots=roots)


def _attested(vtune: VTune, folder: Path) -> Evidence:
    source = write_rows(folder / "source.jsonl")
    job = vtune.fine_tune(source, model=BASE, provider="memory", plan=SPEC, keep_planted=True)
    found = vtune.verify(vtune.wait(job.id).id)
    made = vtune.attest(found.id, reveal=True)
    log = [to_json(entry) for entry in vtune.ledger.log()]
    whole = vtune.attest(found.id, reveal=True, root_key=True)
    assert made.reveal
    assert whole.reveal
    [record] = vtune.ledger.signers()
    return Evidence(
        statement=json.loads(open_envelope(made.envelope).payload),
        seed=open_vault(folder / "home").get(record.key_id).bytes,
        reveal=json.loads(made.reveal.to_bytes()),
        everything=json.loads(whole.reveal.to_bytes()),
        log=log,
        source=source.read_bytes(),
        planted=(folder / "home" / "spool" / f"{job.id}.jsonl").read_bytes(),
        key=public_pem(record),
        commitment=f"sha256:{made.statement.predicate.commitment_sha256}",
        witness_log=(folder / "witness.log").read_bytes(),
        roots=None,
    )
