"""A validation share held out of a set that comes without one, the same on every machine."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, TypeAlias

Split: TypeAlias = Literal["train", "val"]

HELD_OUT_ONE_IN = 10


def is_held_out(key: bytes) -> bool:
    """Whether the picture of this key (its name or its bytes) is one of the tenth held out."""
    return _digest(key) % HELD_OUT_ONE_IN == 0


def hold_out(keys: Sequence[str], split: Split) -> list[int]:
    """The positions of the keys that belong to a split: about a tenth, and at least one, to "val".

    A key's side depends on that key alone (but for a set so small that none falls to "val"), so
    that pictures added later do not move others from one side to the other.

    Raises:
        ValueError: fewer than two keys, which leave nothing to train on or to validate with.
    """
    if len(keys) < 2:
        raise ValueError(f"expected at least 2 pictures, to train on some and to validate with others, got {len(keys)}")
    digests = [_digest(key.encode()) for key in keys]
    held_out = {position for position, digest in enumerate(digests) if digest % HELD_OUT_ONE_IN == 0}
    if len(held_out) in (0, len(keys)):
        held_out = {min(range(len(keys)), key=lambda position: (digests[position], keys[position]))}
    return [position for position in range(len(keys)) if (position in held_out) == (split == "val")]


def _digest(key: bytes) -> int:
    return int.from_bytes(sha256(key).digest()[:8], "big")
