"""What is kept as text in tests/golden, and compared letter by letter; MLC_UPDATE_GOLDEN=1 writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

UPDATE = os.environ.get("MLC_UPDATE_GOLDEN") == "1"  # read early: to mlc itself every MLC_ variable is a setting
GOLDEN = Path(__file__).parent / "golden"


def kept(name: str) -> str:
    """Return a kept text (`entries/E1`)."""
    return (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def compare(name: str, text: str) -> None:
    """Compare a text with the one that is kept, or keep it where that is asked for."""
    if UPDATE:
        path = GOLDEN / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == kept(name)
