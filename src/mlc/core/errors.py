"""Every error a user can meet, typed by what the reader should do next.

MlcError                     code  what to do
├── ConfigError                2   correct the command line or the configuration
├── CredentialError            4   set or correct a secret; never retried by itself
├── UnreachableError           5   wait; the next run is expected to heal it
├── LimitError                 7   look, then accept the limit once
├── NoStateError              10   mlc init
├── LockedError               11   wait for the other run
├── SecretStoreError          12   make the secret store available
├── NewerStateError           13   update mlc
└── UnexpectedAnswerError      1   a defect or an answer nobody foresaw: report it

A bad row is never an exception: it is a Skip or a refused intent.
"""

from __future__ import annotations

OK, FAILED, USAGE, ATTENTION, CREDENTIAL, UNREACHABLE = 0, 1, 2, 3, 4, 5
LIMIT, NO_STATE, LOCKED, SECRET_STORE, NEWER_STATE = 7, 10, 11, 12, 13
INTERRUPTED, TERMINATED = 130, 143

EXIT_CODES: dict[int, str] = {
    OK: "done, also when there was nothing to do",
    FAILED: "failed: a defect or an unexpected answer; the message says which",
    USAGE: "wrong usage or wrong configuration",
    ATTENTION: "finished, but something was refused by a system or newly held for a person",
    CREDENTIAL: "a credential is missing or was rejected",
    UNREACHABLE: "a system could not be reached or throttled us to the end of the retries",
    LIMIT: "a safety limit stopped the run on purpose",
    NO_STATE: "no configuration or no state yet (`mlc init`)",
    LOCKED: "another run holds this tenant's lock",
    SECRET_STORE: "the secret store is unavailable or locked",
    NEWER_STATE: "the state file was written by a newer mlc",
    INTERRUPTED: "interrupted (SIGINT); everything in flight was journalled first",
    TERMINATED: "interrupted (SIGTERM); everything in flight was journalled first",
}

_WORST_FIRST = (
    TERMINATED,
    INTERRUPTED,
    NEWER_STATE,
    USAGE,
    NO_STATE,
    FAILED,
    CREDENTIAL,
    SECRET_STORE,
    LIMIT,
    UNREACHABLE,
    ATTENTION,
    LOCKED,
    OK,
)


def worst(codes: list[int]) -> int:
    """Return the code that wins where several tenants or passes ended differently (contract, section 2)."""
    return min(codes, key=_WORST_FIRST.index, default=OK)


class MlcError(Exception):
    """Base of all: says what happened, to what, and what to do next."""

    exit_code = FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        """`message` names tenant and document; `hint` is the next step, in one sentence."""
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    default_hint = "run again with -v and report what it shows"


class ConfigError(MlcError):
    """Wrong usage or configuration: nothing was done."""

    exit_code = USAGE
    default_hint = "correct the configuration and run `mlc config check`"


class CredentialError(MlcError):
    """A credential is missing or was rejected; never tried again by itself (SAP locks users)."""

    exit_code = CREDENTIAL
    default_hint = "set it with `mlc secret set TENANT NAME` and try `mlc ping`"


class UnreachableError(MlcError):
    """A system could not be reached, or throttled us to the end of the retries."""

    exit_code = UNREACHABLE
    default_hint = "nothing to do if it passes: the next run goes on where this one stopped; `mlc ping` tells which hop fails"


class LimitError(MlcError):
    """A safety limit stopped the run on purpose; nothing more was written."""

    exit_code = LIMIT
    default_hint = "look at the plan with --dry-run; if it is meant, run once with --accept-limit"


class NoStateError(MlcError):
    """There is no configuration or no state yet."""

    exit_code = NO_STATE
    default_hint = "write a configuration with `mlc init`"


class LockedError(MlcError):
    """Another run holds this tenant's lock."""

    exit_code = LOCKED
    default_hint = "wait for it, or give --lock-timeout SECONDS"


class SecretStoreError(MlcError):
    """The secret store is absent, locked or too slow."""

    exit_code = SECRET_STORE
    default_hint = "unlock the keyring, or refer to the secret by {env: NAME}, {file: PATH} or {command: [...]}"


class NewerStateError(MlcError):
    """The state file was written by a newer mlc."""

    exit_code = NEWER_STATE
    default_hint = "update mlc, or put back the state that belongs to this version"


class UnexpectedAnswerError(MlcError):
    """A defect, or an answer of a system that nobody foresaw."""

    exit_code = FAILED
