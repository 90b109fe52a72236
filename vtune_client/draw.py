"""Secret choices drawn from one key: the same key and label always draw the same.

Every p-value rests on these draws being uniform and independent. HMAC-SHA256 in counter mode is
the keystream (NIST SP 800-108 counter mode); integers come from it by rejection, so no residue is
more likely than another.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A stream of uniform choices, named by `label`; streams of other labels are independent."""

    def __init__(self, key: bytes, label: str) -> None:
        if len(key) < 16:
            raise ValueError("a drawing key has at least 16 bytes")
        self._key = hmac.digest(key, b"vtune draw\0" + label.encode(), "sha256")
        self._counter = 0
        self._buffer = b""

    @classmethod
    def opened(cls, stream_key: bytes) -> Draw:
        """Return the stream that has this `stream_key`, from its beginning."""
        if len(stream_key) != 32:
            raise ValueError("the key of a stream has 32 bytes")
        draw = cls.__new__(cls)
        draw._key, draw._counter, draw._buffer = bytes(stream_key), 0, b""
        return draw

    @property
    def stream_key(self) -> bytes:
        """What opens this stream, and says nothing of any other one of the same key."""
        return self._key

    def __repr__(self) -> str:
        return "<Draw>"

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes of the stream."""
        while len(self._buffer) < count:
            block = hmac.digest(self._key, self._counter.to_bytes(8, "big"), "sha256")
            self._counter += 1
            self._buffer += block
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def below(self, bound: int) -> int:
        """Return an integer uniform on 0 .. bound-1; `bound` is at most 2**64."""
        if not 1 <= bound <= 1 << 64:
            raise ValueError("a bound lies between 1 and 2**64")
        limit = (1 << 64) - (1 << 64) % bound
        while True:
            number = int.from_bytes(self.bytes(8), "big")
            if number < limit:
                return number % bound

    def choice(self, items: Sequence[T]) -> T:
        """Return one item, each equally likely."""
        return items[self.below(len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """Return `count` items without replacement, in random order."""
        if count > len(items):
            raise ValueError(f"cannot draw {count} of {len(items)}")
        pool = list(items)
        for i in range(count):
            j = i + self.below(len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        return pool[:count]


@dataclass(frozen=True)
class Streams:
    """Some streams of a key, opened by their labels: what is drawn from them can be drawn again by
    somebody who does not have the key."""

    keys: Mapping[str, bytes] = field(repr=False)

    def stream(self, label: str) -> Draw:
        """Return the stream from its beginning; `KeyError` where it was not opened."""
        return Draw.opened(self.keys[label])
