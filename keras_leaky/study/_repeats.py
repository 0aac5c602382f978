"""Rows that two arrays share."""

import hashlib

import numpy as np


def digest_rows(rows: np.ndarray) -> list[bytes]:
    """A digest of each row; comparable between arrays of the same dtype and row shape."""
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def count_shared(some: list[bytes], others: list[bytes]) -> int:
    """How many rows of `some` are among `others`, by their digests."""
    known = set(others)
    return sum(digest in known for digest in some)
