"""$batch: several requests in one, change sets that happen as a whole or not at all, and the answer in the same form."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from mlc.sandbox.kit import Request, Response
from mlc.sandbox.sap.books import Books
from mlc.sandbox.sap.errors import SapError

Answer = Callable[[Request], Response]
_LINE = re.compile(r"(?P<method>[A-Z]+) (?P<target>\S+)(?: HTTP/1\.1)?")


@dataclass(slots=True)
class Part:
    """One request inside a batch."""

    request: Request
    content_id: str


class Batch:
    """Runs the parts of one batch in order; stops at the first that fails."""

    def __init__(self, books: Books, root: str, version: str, answer: Answer) -> None:
        self.books = books
        self.root = root
        self.version = version
        self.answer = answer
        self.known: dict[str, str] = {}

    def run(self, request: Request) -> Response:
        """Answer a whole batch."""
        mark = f"batchresponse_{uuid.uuid4()}"
        answers: list[str] = []
        for headers, text in _parts(request.headers.get("content-type", ""), request.body.decode("utf-8", "replace")):
            if headers.get("content-type", "").startswith("multipart/mixed"):
                piece, good = self._change_set(headers["content-type"], text, request)
            else:
                part = self._part(headers, text, request)
                if part.request.method != "GET":
                    raise SapError(-1000, "Incomplete Batch Request Body!")
                response = self.answer(part.request)
                piece, good = _written(response, part.content_id), response.status < 400
            answers.append(f"--{mark}\r\n{piece}")
            if not good:
                break
        body = "".join(answers) + f"--{mark}--\r\n"
        return Response(
            202 if self.version == "v1" else 200, body.encode(), (("Content-Type", f"multipart/mixed;boundary={mark}"),)
        )

    def _change_set(self, content_type: str, text: str, outer: Request) -> tuple[str, bool]:
        parts = [self._part(headers, inner, outer) for headers, inner in _parts(content_type, text)]
        if any(part.request.method == "GET" for part in parts):
            raise SapError(-1000, "Incomplete Batch Request Body!")
        names = [part.content_id for part in parts]
        if self.version == "v2" and (not all(names) or len(set(names)) != len(names)):
            raise SapError(244, "Content-ID is missing or not unique in a change set")
        mark = f"changesetresponse_{uuid.uuid4()}"
        self.books.begin()
        pieces = []
        for part in parts:
            response = self.answer(self._resolved(part.request))
            if response.status >= 400:
                self.books.undo.rollback()
                return _written(response, part.content_id), False
            location = dict(response.headers).get("Location", "")
            if part.content_id and location:
                self.known[part.content_id] = location.rsplit("/", 1)[1]
            pieces.append(f"--{mark}\r\n{_written(response, part.content_id)}")
        self.books.undo.commit()
        return f"Content-Type: multipart/mixed;boundary={mark}\r\n\r\n" + "".join(pieces) + f"--{mark}--\r\n", True

    def _resolved(self, request: Request) -> Request:
        """Replace $1 at the start of an address by what the part with that Content-ID made."""
        hit = re.match(rf"{re.escape(self.root)}/\$(\w+)(.*)", request.path, re.DOTALL)
        if hit is None or hit[1] not in self.known:
            return request
        path = f"{self.root}/{self.known[hit[1]]}{hit[2]}"
        return Request(request.method, path, request.query, request.headers, request.body)

    def _part(self, headers: dict[str, str], text: str, outer: Request) -> Part:
        if not headers.get("content-type", "").startswith("application/http"):
            raise SapError(-1000, "Incomplete Batch Request Body!")
        head, _, body = text.partition("\n\n")
        first, *rest = head.split("\n")
        hit = _LINE.fullmatch(first.strip())
        if hit is None:
            raise SapError(-1000, "Incomplete Batch Request Body!")
        inner = _headers("\n".join(rest))
        own = inner if self.version == "v1" else headers
        path, _, query = hit["target"].partition("?")
        path = unquote(re.sub(r"https?://[^/]+", "", path))
        if not path.startswith("/"):
            path = f"{self.root}/{path}"
        shared = {key: value for key, value in outer.headers.items() if key in ("cookie", "host")}
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        request = Request(hit["method"], path, pairs, {**inner, **shared}, body.strip().encode())
        return Part(request, own.get("content-id", ""))


def _parts(content_type: str, text: str) -> list[tuple[dict[str, str], str]]:
    hit = re.search(r'boundary="?([^";]+)"?', content_type)
    if hit is None:
        raise SapError(-1000, "Incomplete Batch Request Body!")
    mark = re.escape(hit[1])
    pieces = re.split(rf"(?:^|\n)--{mark}(--)?[ \t]*(?:\n|$)", text.replace("\r\n", "\n"))
    if "--" not in pieces:
        raise SapError(-1000, "Incomplete Batch Request Body!")
    bodies = pieces[2 : pieces.index("--") : 2]
    result = []
    for one in bodies:
        head, _, body = one.lstrip("\n").partition("\n\n")
        result.append((_headers(head), body))
    return result


def _headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.split("\n") if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _written(response: Response, content_id: str) -> str:
    phrase = HTTPStatus(response.status).phrase
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
    head += f"Content-ID: {content_id}\r\n" if content_id else ""
    inner = "".join(f"{name}: {value}\r\n" for name, value in response.headers)
    return f"{head}\r\nHTTP/1.1 {response.status} {phrase}\r\n{inner}\r\n{response.body.decode()}\r\n"
