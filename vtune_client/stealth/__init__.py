"""What a vendor who looks could find: every detector suspects rows from the rows alone, and the
report says how far that parts the carriers from the rest.

Assume that the vendor has this package. Nothing here is needed for the evidence to hold: a vendor
who finds the carriers and trains on them alone is caught by the held-out rows, not by secrecy.
"""

from __future__ import annotations

from vtune_client.stealth.detectors import DETECTORS
from vtune_client.stealth.interface import Detector
from vtune_client.stealth.lint import Finding, LintReport, judge, lint
from vtune_client.stealth.samples import Sample, carrier_lines, samples_of

__all__ = [
    "DETECTORS",
    "Detector",
    "Finding",
    "LintReport",
    "Sample",
    "carrier_lines",
    "judge",
    "lint",
    "samples_of",
]
