"""`mlc` and `python -m mlc`: answers --version by itself, everything else is the command line's."""

from __future__ import annotations

import sys


def main() -> None:
    """Start the command line; it ends with one of the exit codes of the contract."""
    if sys.argv[1:] in (["--version"], ["-V"]) and _told_version():
        return
    try:
        from mlc.cli.outlets import speaking

        speaking(_work)
    except KeyboardInterrupt:  # before there was anything to end gently
        sys.exit(130)


def _told_version() -> bool:
    from mlc import __version__

    try:
        sys.stdout.write(f"mlc {__version__}\n")
        sys.stdout.flush()
    except (OSError, AttributeError):  # it cannot be written, or was closed: the long way says which
        return False
    return True


def _work() -> None:
    if sys.argv[1:] in (["--version"], ["-V"]):
        _told_version()
        return
    from mlc.cli.app import run

    run()


if __name__ == "__main__":
    main()
