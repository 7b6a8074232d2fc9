"""Keyed randomness: a generator is a function of what it is for, never of what was drawn before.

So any order, any number of workers and any interruption gives the same draws.
"""

import hashlib
import json

import numpy as np


def seed_of(*key: int | str) -> int:
    """Return 128 bits that depend on every part of `key` and nothing else.

    Args:
        key: what the draws are for, such as `(seed, "quota", round, class)`; parts are told apart by type, place and value.
    """
    # JSON tells numbers from texts and one part from two, whatever the texts hold.
    return int.from_bytes(hashlib.blake2b(json.dumps(key).encode(), digest_size=16).digest(), "little")


def keyed_generator(*key: int | str) -> np.random.Generator:
    """Return a numpy generator (PCG64) keyed by `key`; equal keys give equal draws on every machine."""
    return np.random.Generator(np.random.PCG64(seed_of(*key)))
