"""Ids that look like Stripe's: a prefix and letters drawn from a counted hash, the same in every run."""

from __future__ import annotations

from base64 import b64encode
from hashlib import blake2b

LETTERS = bytes.maketrans(b"+/", b"Qx")


def scramble(text: str, length: int) -> str:
    """Return `length` letters and digits that depend only on the text."""
    digest = blake2b(text.encode(), digest_size=length).digest()
    return b64encode(digest).translate(LETTERS).decode()[:length]


class Mint:
    """Makes the ids of one account."""

    def __init__(self, seed: str) -> None:
        """Two mints of one seed make the same ids in the same order."""
        self.seed = seed
        self.count = 0

    def __call__(self, prefix: str, length: int = 24) -> str:
        """Return a fresh id such as `in_1PgafyB7WZ01zgkWSjxsAJo3`; customers pass a length of 14."""
        self.count += 1
        head = "" if length < 24 else "3" if prefix in ("pi", "ch", "py") else "1"
        return f"{prefix}_{head}{scramble(f'{self.seed}/{prefix}/{self.count}', length - len(head))}"
