"""Claims of many checks at once."""

from __future__ import annotations

import math

import pytest

from tests.audit.verdicts import verdict
from vtune_client.audit.family import corrected

STRONG, SILENT = verdict((8,) * 5), verdict((0,) * 5)


def claim(log10_p: float, log10_e: float = 0.0) -> dict[str, object]:
    return {**STRONG, "log10_p": log10_p, "anytime": {"log10_e": log10_e}}


def test_holm_counts_every_check_of_the_file_done_or_not() -> None:
    """7e-8 passes 1e-6 alone and beside 13 others, and not beside 15."""
    weak = math.log10(7e-8)
    few = {"weak": claim(weak), **{f"due {n}": None for n in range(13)}}
    many = {"weak": claim(weak), **{f"due {n}": None for n in range(15)}}
    assert corrected(few, 1e-6, "holm")["weak"].survives
    assert not corrected(many, 1e-6, "holm")["weak"].survives
    assert corrected(many, 1e-6, "holm")["weak"].log10_p == pytest.approx(weak + math.log10(16))


def test_holm_steps_down() -> None:
    """What is certain takes one place less for the rest."""
    verdicts = {"sure": claim(-50.0), "weak": claim(math.log10(6e-7)), "silent": SILENT}
    found = corrected(verdicts, 1e-6, "holm")
    assert {name: each.survives for name, each in found.items()} == {
        "sure": True,
        "weak": False,
        "silent": False,
    }
    assert corrected({**verdicts, "silent": claim(-50.0)}, 1e-6, "holm")["weak"].survives


def test_e_bh_goes_by_e_values() -> None:
    verdicts = {
        "sure": claim(0.0, 50.0),
        "with others": claim(0.0, 6.2),
        "silent": claim(-50.0, -1.0),
        "due": None,
    }
    found = corrected(verdicts, 1e-6, "e-bh")
    assert {name: each.survives for name, each in found.items()} == {
        "sure": True,
        "with others": False,  # wants 4 / 2 of a million
        "silent": False,
        "due": False,
    }
    assert found["sure"].log10_p is None
    more = {**verdicts, "silent": claim(0.0, 9.0)}
    assert corrected(more, 1e-6, "e-bh")["with others"].survives


def test_a_verdict_of_old_has_no_e_value() -> None:
    old = {key: value for key, value in STRONG.items() if key != "anytime"}
    assert not corrected({"old": old}, 1e-6, "e-bh")["old"].survives
