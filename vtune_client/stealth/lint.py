"""All detectors over one planted file: what each of them finds, and what to do about it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from vtune_client.errors import InputError
from vtune_client.stealth.detectors import DETECTORS, KnownFrames
from vtune_client.stealth.interface import Detector
from vtune_client.stealth.roc import (
    Interval,
    auc,
    auc_interval,
    caught,
    share_interval,
)
from vtune_client.stealth.samples import Sample

FALSE_POSITIVES = 0.01
GOAL_AUC = 0.6
GOAL_RECALL = 0.05
TOGETHER = f"all but {KnownFrames.name}"
UNLIKE = (
    "Carriers are less like other rows than these are among themselves: fewer --frames, or frames "
    "in the register of the data (--stealthy, or --phrases-url)."
)


@dataclass(frozen=True)
class Finding:
    """How well one detector parts carriers from ordinary rows.

    `auc` is exact over all pairs, ties half. At 0.5 it sees nothing; below, carriers are the least
    suspicious rows, which gives them away just as well. `recall` is the share of carriers flagged,
    from the end where they lie, while at most 1 % of the ordinary rows are. Both with 95 %
    intervals.
    """

    detector: str
    looks_for: str
    auc: float
    auc_interval: Interval
    recall: float
    recall_interval: Interval
    advice: str

    @property
    def hidden(self) -> bool:
        """Whether carriers are as hard to find for this detector as they ought to be."""
        return max(self.auc, 1 - self.auc) <= GOAL_AUC and self.recall <= GOAL_RECALL

    def to_json(self) -> dict[str, Any]:
        return {
            "detector": self.detector,
            "looks_for": self.looks_for,
            "auc": round(self.auc, 4),
            "auc_interval": [round(bound, 4) for bound in self.auc_interval],
            "recall": round(self.recall, 4),
            "recall_interval": [round(bound, 4) for bound in self.recall_interval],
            "hidden": self.hidden,
            "advice": None if self.hidden else self.advice,
        }


@dataclass(frozen=True)
class LintReport:
    """What all detectors find. It names no row and quotes none, so it is no secret."""

    rows: int
    carriers: int
    findings: tuple[Finding, ...]

    @property
    def hidden(self) -> bool:
        return all(finding.hidden for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report under the schema `vtune.lint/1`."""
        return {
            "schema": "vtune.lint/1",
            "rows": self.rows,
            "carriers": self.carriers,
            "false_positives": FALSE_POSITIVES,
            "goal": {"auc": GOAL_AUC, "recall": GOAL_RECALL},
            "hidden": self.hidden,
            "findings": [finding.to_json() for finding in self.findings],
        }


def lint(
    samples: Sequence[Sample],
    carriers: AbstractSet[int],
    detectors: Sequence[Detector] = DETECTORS,
) -> LintReport:
    """Judge every detector by the lines (from 1) that really carry, and them all together.

    Together: a row's ranks by all but the known frames, combined like Fisher's p-values. Raises
    `InputError` where none of the rows carries, or all do.
    """
    _require_both(samples, carriers)
    scored = [(detector, detector.scores(samples)) for detector in detectors]
    findings = [
        judge(samples, carriers, scores, detector.name, detector.looks_for, detector.advice)
        for detector, scores in scored
    ]
    blind = [scores for detector, scores in scored if detector.name != KnownFrames.name]
    if len(blind) > 1:
        together = _together(blind)
        about = "rows that several of the other detectors find strange"
        advice = "Follow the advice of the strongest of them first."
        findings.append(judge(samples, carriers, together, TOGETHER, about, advice))
    return LintReport(len(samples), len(carriers), tuple(findings))


def judge(
    samples: Sequence[Sample],
    carriers: AbstractSet[int],
    scores: Sequence[float],
    detector: str,
    looks_for: str,
    advice: str,
) -> Finding:
    """Return how well these scores, one per sample, part the carriers from the rest."""
    _require_both(samples, carriers)
    pairs = list(zip(samples, scores, strict=True))
    of_carriers = [score for sample, score in pairs if sample.line in carriers]
    of_others = [score for sample, score in pairs if sample.line not in carriers]
    area = auc(of_carriers, of_others)
    sign = 1 if area >= 0.5 else -1
    flagged = caught(
        [sign * score for score in of_carriers],
        [sign * score for score in of_others],
        FALSE_POSITIVES,
    )
    return Finding(
        detector=detector,
        looks_for=looks_for if area >= 0.5 else f"the rows with least of this: {looks_for}",
        auc=area,
        auc_interval=auc_interval(area, len(of_carriers), len(of_others)),
        recall=flagged / len(of_carriers),
        recall_interval=share_interval(flagged, len(of_carriers)),
        advice=advice if area >= 0.5 else UNLIKE,
    )


def _together(scored: Sequence[Sequence[float]]) -> list[float]:
    """Return the sum over detectors of -log of the share of rows at least as suspicious."""
    columns = []
    for scores in scored:
        ranked = sorted(scores)
        size = len(ranked)
        columns.append([-math.log((size - bisect_left(ranked, each)) / size) for each in scores])
    return [math.fsum(row) for row in zip(*columns, strict=True)]


def _require_both(samples: Sequence[Sample], carriers: AbstractSet[int]) -> None:
    found = sum(sample.line in carriers for sample in samples)
    if not carriers or found < len(carriers) or found == len(samples):
        raise InputError(
            "The lines named as carriers are not some of the rows of this file.",
            "Name the planted file and the plan it was written for.",
        )
