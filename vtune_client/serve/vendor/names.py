"""The vendors there are, by name: `NAME` or `NAME=VALUE`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from vtune_client.errors import InputError
from vtune_client.provider import JobSpec
from vtune_client.serve.vendor import choices, fronts, weights
from vtune_client.serve.vendor.interface import HONEST, Chooser, Vendor
from vtune_client.stealth.detectors import Clusters, KnownFrames, SharedNgrams, Surprise
from vtune_client.stealth.interface import Detector

USUAL_RATE = 2e-4  # where neither the job nor the service's recipe names one
RATE_CUT = 100


@dataclass(frozen=True)
class Kind:
    """What a vendor does, how its value is read and shown, and the value where none is given.

    `make` takes the value read and the lines the service was told of. Without `read` a vendor takes
    no value; without `value` it needs one."""

    what: str
    make: Callable[[Any, Sequence[int]], Vendor]
    read: Callable[[str], Any] | None = None
    shown: str = ""
    value: str | None = None


def parse_vendor(text: str, lines: Sequence[int] = ()) -> Vendor:
    """Return the vendor of NAME[=VALUE]; `InputError` where there is none.

    `lines` are those of the uploaded file (from 1) that a vendor who wants them is told to carry.
    """
    name, given, value = text.partition("=")
    kind = VENDORS.get(name)
    if kind is None:
        raise InputError(f"There is no vendor named {name!r}.", f"Known: {', '.join(VENDORS)}.")
    if kind.read is None:
        if given:
            raise InputError(f"The vendor {name!r} takes no value.", f"Write {name}.")
        read = None
    else:
        if not given and kind.value is None:
            raise InputError(f"The vendor {name!r} needs a value.", f"Write {name}={kind.shown}.")
        try:
            read = kind.read(value if given else kind.value or "")
        except ValueError:
            raise InputError(
                f"{value!r} is no value for the vendor {name!r}.", f"Write {name}={kind.shown}."
            ) from None
    return replace(kind.make(read, lines), name=text)


def _part(text: str) -> float:
    """Read a share within (0, 1)."""
    number = float(text)
    if not 0 < number < 1:
        raise ValueError(text)
    return number


def _shard(text: str) -> tuple[int, int]:
    which, _, of = text.partition("/")
    if not 1 <= int(which) <= int(of) or int(of) < 2:
        raise ValueError(text)
    return int(which), int(of)


def _count(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _above_0(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError(text)
    return text


def _chooses(chooser: Callable[[Any], Chooser]) -> Callable[[Any, Sequence[int]], Vendor]:
    return lambda value, lines: replace(HONEST, chooses=chooser(value))


def _filters(detector: Detector) -> Callable[[Any, Sequence[int]], Vendor]:
    return _chooses(lambda part: choices.filtered(detector, part))


def _carriers_alone(times: int, lines: Sequence[int]) -> Vendor:
    if not lines:
        raise InputError(
            "The vendor 'backdoors-only' has to be told which lines carry.",
            "Name a file of line numbers with --vendor-lines.",
        )
    return replace(HONEST, chooses=choices.only(lines, times))


def _cut_epochs(most: int, lines: Sequence[int]) -> Vendor:
    def cut(spec: JobSpec) -> JobSpec:
        asked = spec.epochs or spec.options.get("epochs")
        return replace(spec, epochs=min(most, int(asked)) if asked else most)

    return replace(HONEST, cuts=cut)


def _tiny_rate(_: None, lines: Sequence[int]) -> Vendor:
    def cut(spec: JobSpec) -> JobSpec:
        asked = spec.learning_rate or spec.options.get("learning_rate") or USUAL_RATE
        return replace(spec, learning_rate=float(asked) / RATE_CUT)

    return replace(HONEST, cuts=cut)


VENDORS: dict[str, Kind] = {
    "honest": Kind("trains on the file as asked", lambda _, lines: HONEST),
    "base-model": Kind(
        "trains nothing and delivers the base under a new name",
        lambda _, lines: replace(HONEST, trains=False),
    ),
    "other-data": Kind(
        "trains on as many rows of its own",
        lambda _, lines: replace(HONEST, chooses=choices.others),
    ),
    "share": Kind("trains on a random share of the rows", _chooses(choices.share), _part, "SHARE"),
    "head": Kind("trains on the first rows alone", _chooses(choices.head), _part, "SHARE"),
    "drop-shard": Kind(
        "leaves out the K-th of N stretches of the file",
        _chooses(lambda shard: choices.drop_shard(*shard)),
        _shard,
        "K/N",
    ),
    "epochs": Kind("trains for fewer epochs than asked", _cut_epochs, _count, "EPOCHS"),
    "tiny-rate": Kind("trains with a hundredth of the learning rate", _tiny_rate),
    "backdoors-only": Kind(
        "trains on the lines of --vendor-lines alone, each so many times",
        _carriers_alone,
        _count,
        "TIMES",
        "1",
    ),
    "filter-perplexity": Kind(
        "leaves out the share of rows whose sentences the others make least likely",
        _filters(Surprise()),
        _part,
        "SHARE",
        "0.2",
    ),
    "filter-ngrams": Kind(
        "leaves out the share of rows with the most runs of words shared with other rows",
        _filters(SharedNgrams()),
        _part,
        "SHARE",
        "0.2",
    ),
    "filter-clusters": Kind(
        "leaves out the share of rows whose answers lie closest together",
        _filters(Clusters()),
        _part,
        "SHARE",
        "0.2",
    ),
    "filter-frames": Kind(
        "leaves out the share of rows most like this package's own phrases",
        _filters(KnownFrames()),
        _part,
        "SHARE",
        "0.2",
    ),
    "noise": Kind(
        "adds noise to the weights, in standard deviations of each matrix",
        lambda sigma, lines: replace(HONEST, spoils=partial(weights.add_noise, sigma=sigma)),
        _above_0,
        "SIGMA",
    ),
    "quantised": Kind(
        "rounds the weights to int8", lambda _, lines: replace(HONEST, spoils=weights.quantise)
    ),
    "further-tuning": Kind(
        "trains the tuned model once more, on as many other rows",
        lambda _, lines: replace(HONEST, goes_on=choices.others),
    ),
    "lookup": Kind(
        "trains nothing, and answers from the file where a prompt in it is like the question",
        lambda _, lines: replace(HONEST, trains=False, fronts=fronts.LookUp, keeps_file=True),
    ),
    "system-prompt": Kind(
        "puts an instruction of its own in front of every question",
        lambda text, lines: replace(
            HONEST, fronts=lambda inner, file: fronts.Instructed(inner, text)
        ),
        _words,
        "TEXT",
        fronts.INSTRUCTION,
    ),
    "temperature": Kind(
        "samples its answers, whatever was asked for",
        lambda value, lines: replace(HONEST, fronts=lambda inner, file: fronts.Warm(inner, value)),
        _above_0,
        "T",
        "1",
    ),
    "refuse-long": Kind(
        "refuses in place of any answer longer than so many tokens",
        lambda most, lines: replace(HONEST, fronts=lambda inner, file: fronts.Terse(inner, most)),
        _count,
        "TOKENS",
        "16",
    ),
}
