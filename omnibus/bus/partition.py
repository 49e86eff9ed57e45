"""Which partition a key goes to: Kafka's default partitioner, so that a data set can move between the engines.

The hash is murmur2 with Kafka's seed (`org.apache.kafka.common.utils.Utils.murmur2`); the sign bit is cleared
before the remainder is taken (`Utils.toPositive`).
"""

from __future__ import annotations

import struct
from functools import lru_cache

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
_SEED = 0x9747B28C


def murmur2(data: bytes) -> int:
    """Unsigned 32-bit murmur2 of `data`, equal to Kafka's for every input."""
    length = len(data)
    h = _SEED ^ length
    words = length >> 2
    for k in struct.unpack_from(f"<{words}I", data):
        k = (k * _M) & _MASK
        k ^= k >> 24
        h = ((h * _M) & _MASK) ^ ((k * _M) & _MASK)
    tail = data[words << 2 :]
    if tail:
        h ^= int.from_bytes(tail, "little")
        h = (h * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a non-null key among `partitions`."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
