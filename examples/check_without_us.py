"""Check a signed statement with nothing of ours: for an expert who trusts no line of this package.

    pip install cryptography rfc8785
    python check_without_us.py statement.json auditor.pem sha256:5f0c...

Looks at the signature, the commitment, the Merkle tree and the main test's p-value, in exact
fractions. `vtune check` does all of this and more; docs/attestation.md has the formats.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def signed_payload(envelope: dict[str, Any], key: Ed25519PublicKey) -> dict[str, Any]:
    """Return what was signed (DSSE); raises where the signature does not fit."""
    kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"])
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    found: dict[str, Any] = json.loads(payload)
    return found


def root(leaves: list[bytes]) -> bytes:
    """Return the root of the Merkle tree (RFC 6962)."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:half]) + root(leaves[half:])).digest()


def guesses(sizes: list[int]) -> list[Fraction]:
    """Return the probabilities of 0, 1, ... matches by guessing one word of so many per slot."""
    pmf = [Fraction(1)]
    for size in sizes:
        hit = Fraction(1, size)
        stay, rise = [p * (1 - hit) for p in pmf], [p * hit for p in pmf]
        pmf = [a + b for a, b in zip([*stay, Fraction(0)], [Fraction(0), *rise], strict=True)]
    return pmf


def best_of(sizes: list[int], answers: int) -> list[Fraction]:
    """Return those of the best of several answers: each tail as many times as likely, at most 1."""
    pmf = guesses(sizes)
    tails = [min(Fraction(1), answers * sum(pmf[t:], Fraction(0))) for t in range(1, len(pmf))]
    return [a - b for a, b in pairwise([Fraction(1), *tails, Fraction(0)])]


def p_value(test: dict[str, Any]) -> Fraction:
    """Return P(as many secret words or more) for a system that never met the file."""
    total = [Fraction(1)]
    for sizes, answers in zip(test["slot_sizes"], test["answers"], strict=True):
        one = best_of(sizes, answers) if answers else [Fraction(1)]
        sums = [Fraction(0)] * (len(total) + len(one) - 1)
        for i, a in enumerate(total):
            for j, b in enumerate(one):
                sums[i + j] += a * b
        total = sums
    return sum(total[sum(test["matched"]) :], Fraction(0))


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"REFUTED: {otherwise}")


def main(statement: str, pem: str, commitment: str) -> None:
    key = load_pem_public_key(Path(pem).read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        sys.exit("The key is not an Ed25519 key.")
    stated = signed_payload(json.loads(Path(statement).read_bytes()), key)["predicate"]

    digest = hashlib.sha256(rfc8785.dumps(stated["commitment"])).hexdigest()
    require(f"sha256:{digest}" == commitment, "another commitment was given before the job")
    leaves = root([bytes.fromhex(leaf) for leaf in stated["leaves"]]).hex()
    require(leaves == stated["commitment"]["merkle_root"], "other leaves were committed to")

    slots = next(test for test in stated["verdict"]["tests"] if test["name"] == "slots")
    p = p_value(slots)
    log10_p = math.log10(p.numerator) - math.log10(p.denominator)
    require(math.isclose(log10_p, slots["log10_p"], rel_tol=1e-9, abs_tol=1e-9), "p is another")
    print(f"signature, commitment and leaves hold; slots: p = 10^{log10_p:.3f}, as stated")


if __name__ == "__main__":
    main(*sys.argv[1:])
