"""Every sentence and table that people read, and the JSON Lines that scripts read."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from mlc.core import errors
from mlc.core.codec import cleaned
from mlc.core.money import Money, exponent

if TYPE_CHECKING:
    from mlc.engine.report import Item, Report

SCHEMA = "mlc/1"
_LONG = re.compile(r"[^\s/]{300,}")  # somebody pasted a file where an id was wanted
_NARROW = 80  # what tables are made for
_FREE_TEXTS = {"text", "message", "notes", "data", "wrong"}
_STATES = ("planned", "done", "held", "refused", "in_doubt")
_LEVELS = {"yellow": "warning", "magenta": "warning", "red": "error"}
_PRIORITIES = {"error": 3, "warning": 4, "info": 6, "debug": 7}
_SIGNS = {"done": "+", "planned": ">", "held": "!", "refused": "x", "in_doubt": "?"}
_COLOURS = {"done": "green", "planned": "cyan", "held": "yellow", "refused": "red", "in_doubt": "magenta"}


class Voice:
    """Where a command speaks: work on stdout, everything else on stderr; colour only at a terminal that wants it."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, verbose: int = 0, log_format: str | None = None) -> None:
        self.clean: Callable[[str], str] = str  # takes out the secrets that were looked up: a system may repeat them
        self.asked = False  # a person asked about one thing: say why it is held even if it was before
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.log_format = log_format or ("journald" if journal_reads(sys.stderr, os.environ) else "text")
        self.context: dict[str, str] = {}  # which tenant, pass and run it is about
        self.troubles: list[str] = []  # every error that was said
        self._told: set[tuple[str, str]] = set()  # what was said of a tenant's passes

    @contextmanager
    def within(self, **about: str) -> Iterator[None]:
        """Say which tenant, pass or run everything is about that is said meanwhile."""
        before, self.context = self.context, {**self.context, **about}
        try:
            yield
        finally:
            self.context = before

    # --- machines ---------------------------------------------------------------------------------------------------

    def emit(self, kind: str, /, **fields: Any) -> None:
        """Write one JSON object on stdout."""
        line = {"schema": SCHEMA, "type": kind, "run_id": None, "tenant": None, "pass": None, **fields}
        for name in _FREE_TEXTS & fields.keys():  # names and ids stay as they are, even if a password is such a word
            line[name] = cleaned(fields[name], self.clean)
        _write(sys.stdout, _dumped(line, sys.stdout))

    # --- people -----------------------------------------------------------------------------------------------------

    def say(self, text: str, style: str = "") -> None:
        """Say a line on stderr, unless quiet."""
        if not self.quiet:
            self._log(_LEVELS.get(style, "info"), text, style)

    def warn(self, text: str) -> None:
        """Say a line on stderr, even when quiet."""
        self._log("warning", text, "red")

    def out(self, text: str) -> None:
        """Write a line of work on stdout."""
        _write(sys.stdout, _plain(self.clean(text)))

    def detail(self, text: str) -> None:
        """Say a request at -v."""
        if self.verbose:
            self._log("debug", text if self.log_format == "json" else f"  {text}", "dim")

    def error(self, error: errors.MlcError, where: str = "") -> None:
        """Say what went wrong and what to do next, always."""
        self._loud(f"{where}{error.message}", error.hint if error.hint not in error.message else "")

    def _loud(self, text: str, hint: str) -> None:
        self.troubles.append(text)
        if self.log_format == "json":
            self._log("error", text, hint=hint)
            return
        self._log("error", f"error: {text}", "red")
        if hint:
            self._log("error", f"  next: {hint}")

    def _log(self, level: str, text: str, style: str = "", hint: str = "") -> None:
        """Write a line on stderr, as people, the journal or a collector of logs want it."""
        text, hint = self.clean(text), self.clean(hint)
        if level == "error":  # after the secrets are out: half of one would not be known for one
            text, hint = _LONG.sub(_shortened, text), _LONG.sub(_shortened, hint)
        if self.log_format == "json":
            line = {"ts": _now(), "level": level, **self.context, "message": text, **({"hint": hint} if hint else {})}
            _write(sys.stderr, _dumped(line, sys.stderr))
        elif self.log_format == "journald" and not sys.stderr.isatty():
            _write(sys.stderr, journal_lines(level, _plain(text)))
        else:
            _write(sys.stderr, _styled(_plain(text), style, sys.stderr))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> None:
        """Write a table on stdout, as wide as the terminal (without one: $COLUMNS or 80); row under row where words would break."""
        width = _columns()
        texts = [[self._cell(cell) for cell in row] for row in rows]
        lines = _aligned([columns, *texts], right)
        if max(map(_wide, lines)) <= width and not any("\n" in cell for row in texts for cell in row):
            written = lines
        elif width < _NARROW and not _fits(columns, texts, width):
            written = list(_stacked(columns, texts, width))
        else:
            written = _folded(columns, texts, right, width)
        for line in written:
            _write(sys.stdout, line)

    def listing(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[int] = ()) -> None:
        """Write a table on stdout whose last cell is a text: it stands below its row, so that no word of the row is broken."""
        cells = [[self._cell(cell) for cell in row] for row in rows]
        width = _columns()
        lines = _aligned([columns, *(row[:-1] for row in cells)], right)
        for line, text in zip(lines, ["", *(row[-1] for row in cells)], strict=True):
            _write(sys.stdout, line)
            for part in textwrap.wrap(text, max(20, width - 4), break_long_words=False, break_on_hyphens=False):
                _write(sys.stdout, f"    {part}")

    def _cell(self, value: object) -> str:
        return _plain(self.clean(str(value))).replace("\t", " ").rstrip()

    # --- passes -----------------------------------------------------------------------------------------------------

    def item(self, item: Item, report: Report) -> None:
        """Tell one item as it happens."""
        if self.as_json:
            self.emit("item", **item_fields(item), run_id=report.run_id, tenant=report.tenant, **{"pass": report.pass_})
            return
        loud = item.state != "done" or self.verbose or self.asked
        if item.state == "held" and not item.news and not self.verbose and not self.asked:
            return
        if loud and not self.quiet:
            self.say(item_line(item), _COLOURS[item.state])
            if item.state in ("planned", "done") and (entry := _entry(item)) is not None:
                from mlc.cli import taccount

                for line in taccount.drawn(entry):
                    self.say(line)

    def summary(self, report: Report) -> None:
        """Tell how a pass ended: one line for people, one object for scripts."""
        if self.as_json:
            counts = {name: report.counts[name] for name in ("seen", *_STATES, "unchanged")}
            self.emit(
                "summary", run_id=report.run_id, tenant=report.tenant, **{"pass": report.pass_}, dry_run=report.dry_run, counts=counts,
                amounts=dict(report.amounts), exponents={one: exponent(one) for one in report.amounts},
                exit_code=report.exit_code, message="; ".join(report.messages), notes=report.notes,
                audit_head=report.audit_head,
            )  # fmt: skip
        elif not self.quiet:
            for note in report.notes:
                self.say(f"{report.tenant} {report.pass_}: {note}", "yellow")
        for message in report.messages:
            if (report.tenant, message) in self._told:  # four passes meet one wrong password: it is said once
                self._loud(f"{report.tenant} {report.pass_}: the same, see above", "")
            else:
                self._loud(f"{report.tenant} {report.pass_}: {message}", report.hint)
            self._told.add((report.tenant, message))
        if not self.as_json:
            self.say(summary_line(report))


def _columns() -> int:
    """Return the width to write for: the terminal's, also where a pager stands before it; without one $COLUMNS or 80."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(sys.__stderr__.fileno() if sys.__stderr__ else 2).columns or 80
    except (OSError, ValueError):
        return 80


def item_fields(item: Item) -> dict[str, Any]:
    """Return an item as scripts read it."""
    receipt, entry_fields = item.receipt, {}
    if (entry := _entry(item)) is not None:
        from mlc.cli import taccount

        entry_fields = {"entry": taccount.fields(entry)}
    return {
        "id": item.id, "target": item.target, "action": item.action, "state": item.state, "reason": item.reason or None,
        "text": item.text or item.says,
        "receipt": {"system": receipt.system, "object": receipt.object, "id": receipt.id, "number": receipt.number} if receipt else None,
        "amount": amount_fields(item.amount), "candidates": list(item.candidates), **item.about,
        **entry_fields,
    }  # fmt: skip


def _entry(item: Item) -> Any:
    """Return the journal entry an item is about, None where it is about something else."""
    from mlc.core.commands import PostEntry

    return item.command if isinstance(item.command, PostEntry) else None


def amount_fields(amount: Money | None) -> dict[str, Any] | None:
    """Return money as scripts read it: whole minor units of ISO 4217."""
    return {"minor": amount.minor, "currency": amount.currency, "exponent": exponent(amount.currency)} if amount else None


def item_line(item: Item) -> str:
    """Return an item as a line for people."""
    amount = f" {item.amount}" if item.amount else ""
    if item.state == "held":
        return f"{_SIGNS['held']} held {item.reason}{amount}: {item.text}"
    tail = (
        f" -> {item.receipt}" if item.receipt else (f": {item.reason} {item.text}".rstrip() if item.reason or item.text else "")
    )
    return f"{_SIGNS[item.state]} {item.state.replace('_', ' ')} {item.says}{amount}{tail}"


def summary_line(report: Report) -> str:
    """Return how a pass ended, in one line."""
    counts = [counted] if (counted := report.counted()) else []
    if report.counts["adopted"]:
        counts.append(f"{report.counts['adopted']} found done")
    amounts = ", ".join(str(Money(minor, currency)) for currency, minor in sorted(report.amounts.items()))
    told = ", ".join(counts) or "nothing to do"
    dry = " (dry run)" if report.dry_run else ""
    seen = f"; {report.counts['seen']} seen, {report.counts['unchanged']} unchanged"
    code = f"; exit {report.exit_code}" if report.exit_code else ""
    return f"{report.tenant} {report.pass_}{dry}: {told}{f' ({amounts})' if amounts else ''}{seen}{code}; audit {report.audit_head[:12]}"


def blank_summary(pass_: str, code: int, *, dry_run: bool, head: str | None = None, why: str = "not begun") -> dict[str, Any]:
    """Return the summary of a pass that did not begin, or has nothing to do with this tenant."""
    counts = dict.fromkeys(("seen", *_STATES, "unchanged"), 0)
    return {
        "pass": pass_, "dry_run": dry_run, "counts": counts, "amounts": {}, "exponents": {}, "exit_code": code,
        "message": why, "audit_head": head,
    }  # fmt: skip


def age(seconds: float) -> str:
    """Return a duration as people say it."""
    for size, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {word}"
    return f"{max(0, int(seconds))} s"


def duration(seconds: float) -> str:
    """Return a time left as people say it, in two steps: `1 h 20 min`, `3 min 5 s`."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def moment(seconds: float | None) -> str:
    """Return a moment as people read it, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds else "-"


def fields_lines(fields: Mapping[str, object]) -> list[str]:
    """Return name-value lines, aligned."""
    width = max((len(name) for name in fields), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in fields.items()]


def _wide(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # its tables take longer to load than many a command to run

    return cell_len(text)


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Return rows as lines whose columns stand under each other; those in `right` end under each other."""
    widths = [max(map(_wide, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        gaps = [" " * (width - _wide(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = [
            gap + cell if number in right else cell + gap for number, (cell, gap) in enumerate(zip(row, gaps, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _folded(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int], width: int) -> list[str]:
    """Return the lines of a table too wide for the terminal: its longer cells are wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        whole = number == 0 or number in right  # ids and figures are never broken: they are copied
        table.add_column(column, justify="right" if number in right else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*map(Text, row))
    drawn = io.StringIO()
    Console(file=drawn, highlight=False, emoji=False, force_terminal=False, color_system=None, width=width).print(table)
    return [line.rstrip() for line in drawn.getvalue().splitlines()]


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Tell whether a table has room for its longest words, and for some of what the last column says."""
    words = [
        max((len(word) for cell in cells for word in cell.split()), default=0) for cells in zip(columns, *rows, strict=True)
    ]
    return sum(words[:-1]) + max(20, min(words[-1], 30)) + 2 * (len(words) - 1) <= width


def _stacked(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield each row as lines of its own: what it is about, and under it every column by its name."""
    for first, *others in rows:
        yield first
        for name, cell in zip(columns[1:], others, strict=True):
            said = f"{name}: {cell}" if name else cell
            yield from textwrap.wrap(
                said,
                max(width, 20),
                initial_indent="  ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )


def _shortened(word: re.Match[str]) -> str:
    return f"{word[0][:60]}... ({len(word[0])} characters)"


def _plain(text: str) -> str:
    """Show control characters of names as what they are: a terminal shall not obey them."""
    return "".join(one if one.isprintable() or one in "\n\t" else f"\\x{ord(one):02x}" for one in text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text + "\n")
        stream.flush()
    except UnicodeEncodeError:  # LANG=C: show what can be shown
        stream.write(text.encode("ascii", "backslashreplace").decode() + "\n")


def _dumped(line: dict[str, Any], stream: TextIO) -> str:
    text = json.dumps(line, ensure_ascii=False, default=str)
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:  # LANG=C, or half a character in a name: still JSON
        text = json.dumps(line, default=str)
    return text


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def journal_lines(level: str, text: str) -> str:
    """Return lines as the journal of systemd reads them: each begins with its priority."""
    return "\n".join(f"<{_PRIORITIES[level]}>{line}" for line in text.splitlines() or [""])


def journal_reads(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether a stream goes straight to the journal: $JOURNAL_STREAM has its device and inode (systemd.exec)."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


_CODES = {"red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36", "dim": "2", "bold": "1"}


def _styled(text: str, style: str, stream: TextIO) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if style and _colour(stream) else text
