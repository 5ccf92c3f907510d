"""`mlc` and `python -m mlc`: answers --version by itself, everything else is the command line's."""

from __future__ import annotations

import sys

from mlc.cli.outlets import speaking


def main() -> None:
    """Start the command line; it ends with one of the exit codes of the contract."""
    speaking(_work)


def _work() -> None:
    if sys.argv[1:] in (["--version"], ["-V"]):
        from mlc import __version__

        sys.stdout.write(f"mlc {__version__}\n")
        return
    from mlc.cli.app import run

    run()


if __name__ == "__main__":
    main()
