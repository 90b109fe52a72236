"""One file per detector; `DETECTORS` are those that need nothing but this package."""

from __future__ import annotations

from vtune_client.stealth.detectors.clusters import Clusters
from vtune_client.stealth.detectors.known_frames import KnownFrames
from vtune_client.stealth.detectors.openings import Openings
from vtune_client.stealth.detectors.shape import Shape
from vtune_client.stealth.detectors.shared_ngrams import SharedNgrams
from vtune_client.stealth.detectors.surprise import Surprise
from vtune_client.stealth.detectors.topic import Topic
from vtune_client.stealth.interface import Detector

DETECTORS: tuple[Detector, ...] = (
    KnownFrames(),
    SharedNgrams(),
    Openings(),
    Clusters(),
    Topic(),
    Surprise(),
    Shape(),
)

__all__ = [
    "DETECTORS",
    "Clusters",
    "KnownFrames",
    "Openings",
    "Shape",
    "SharedNgrams",
    "Surprise",
    "Topic",
]
