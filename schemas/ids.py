"""Ids and shards: functions of content, never of a clock or of chance."""

from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

SHARDS: Final = 64
"""Virtual shards; every partition count divides it."""

EXERCISE: Final = "exercise:"
"""Begins the id of every device that takes part in an exercise; what its records lead to is marked as one."""

_MASK: Final = 0xFFFFFFFF


def content_id(prefix: str, *parts: str | int) -> str:
    """Return `prefix-` and 16 hex digits that depend on the parts alone."""
    return joined_id(prefix, "".join([f"{part}\x1f" for part in parts]))


def joined_id(prefix: str, text: str) -> str:
    """Return the content id of parts that are joined already, each with a unit separator (U+001F) behind it."""
    return f"{prefix}-{blake2b(text.encode(), digest_size=8).hexdigest()}"


def is_exercise(device_id: str) -> bool:
    """Tell whether a device takes part in an exercise."""
    return device_id.startswith(EXERCISE)


def murmur2(key: bytes) -> int:
    """Kafka's murmur2 of a key as an unsigned 32-bit number (org.apache.kafka.common.utils.Utils)."""
    length = len(key)
    m = 0x5BD1E995
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little")
        k = (k * m) & _MASK
        k ^= k >> 24
        k = (k * m) & _MASK
        h = ((h * m) & _MASK) ^ k
    tail = key[whole:]
    if tail:
        h ^= int.from_bytes(tail, "little")
        h = (h * m) & _MASK
    h ^= h >> 13
    h = (h * m) & _MASK
    return h ^ (h >> 15)


def murmur2_of_words(words: npt.NDArray[np.bytes_]) -> npt.NDArray[np.uint32]:
    """Return `murmur2` (n,) of keys that do not end in NUL."""
    length = np.char.str_len(words).astype(np.uint32)
    width = -(-words.itemsize // 4) + 1
    four = np.ascontiguousarray(words, dtype=f"S{4 * width}").view("<u4").reshape(len(words), width)
    m = np.uint32(0x5BD1E995)
    h = np.uint32(0x9747B28C) ^ length
    for place in range(width):
        k = four[:, place] * m
        k = (k ^ (k >> np.uint32(24))) * m
        h = np.where(length >= 4 * (place + 1), (h * m) ^ k, h)
    rest = four[np.arange(len(words)), length // 4]
    h = np.where(length % 4 > 0, (h ^ rest) * m, h)
    h = (h ^ (h >> np.uint32(13))) * m
    return np.asarray(h ^ (h >> np.uint32(15)), np.uint32)


def shard_of(device_id: str) -> int:
    """Virtual shard of a device, 0 to 63: the positive murmur2 of its id, as Kafka's default partitioner sees it."""
    return (murmur2(device_id.encode()) & 0x7FFFFFFF) % SHARDS
