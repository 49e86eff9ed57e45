"""Questions and answers from Markdown and CSV files.

Markdown: a heading of level 1 that is a language (``# pt-BR``) holds for what follows; every heading below it is a
question, several headings in a row are several ways to ask the same, and the text below is the answer. A file named
``faq.pt.md`` is in that language from the start. CSV: columns ``question``, ``answer`` and, where there is one,
``language``; several ways to ask are separated by ``|``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from omnibus.errors import Misconfigured
from omnibus.model import ids

MAX_FILE_BYTES = 5_000_000
MAX_ENTRIES = 20_000
MAX_ANSWER_CHARS = 4_000
MAX_QUESTION_CHARS = 500
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*")
_FENCE = re.compile(r"(```|~~~)")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An answer and the questions it answers. `language` is BCP 47, '' when nobody said."""

    id: str
    questions: tuple[str, ...]
    answer: str
    language: str = ""


def load_entries(path: Path) -> list[Entry]:
    """The entries of a file, or of every ``.md`` and ``.csv`` file in a folder. Raises Misconfigured."""
    files = sorted(file for file in path.iterdir() if file.suffix in (".md", ".csv")) if path.is_dir() else [path]
    entries = [entry for file in files for entry in _entries_of(file)]
    if not entries:
        raise Misconfigured(str(path), "no questions with answers in it")
    if len(entries) > MAX_ENTRIES:
        raise Misconfigured(str(path), f"more than {MAX_ENTRIES} entries")
    return entries


def _entries_of(file: Path) -> Iterator[Entry]:
    text = _read(file)
    language = file.suffixes[-2][1:] if len(file.suffixes) > 1 and _LANGUAGE.fullmatch(file.suffixes[-2][1:]) else ""
    found = from_csv(text, str(file)) if file.suffix == ".csv" else from_markdown(text)
    for entry in found:
        yield entry if entry.language or not language else _entry(entry.questions, entry.answer, language)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise Misconfigured(str(file), f"larger than {MAX_FILE_BYTES} bytes")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise Misconfigured(str(file), (error.strerror or "cannot be read").lower()) from None
    except UnicodeDecodeError:
        raise Misconfigured(str(file), "is not UTF-8") from None


def from_markdown(text: str) -> Iterator[Entry]:
    """The entries of a Markdown text."""
    language, fenced = "", False
    questions: list[str] = []
    answer: list[str] = []
    for line in text.splitlines():
        fenced ^= bool(_FENCE.match(line.strip()))
        heading = None if fenced else _HEADING.fullmatch(line)
        if heading is None:
            answer.append(line)
            continue
        if _said(answer):
            yield from _made(questions, answer, language)
            questions = []
        answer = []
        if len(heading[1]) == 1 and _LANGUAGE.fullmatch(heading[2]):
            language = heading[2]
        elif len(heading[1]) > 1:
            questions.append(heading[2])
    yield from _made(questions, answer, language)


def _said(answer: Sequence[str]) -> bool:
    return any(line.strip() for line in answer)


def _made(questions: Sequence[str], answer: Sequence[str], language: str) -> Iterator[Entry]:
    text = "\n".join(answer).strip()
    if questions and text:
        yield _entry(tuple(questions), text, language)


def from_csv(text: str, name: str = "csv") -> Iterator[Entry]:
    """The entries of a CSV text. Raises Misconfigured with the row that is wrong."""
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        columns = [(column or "").strip().lower() for column in reader.fieldnames or ()]
        if not {"question", "answer"} <= set(columns):
            raise Misconfigured(name, f"expected columns question and answer, got {', '.join(columns)[:200] or 'none'}")
        reader.fieldnames = columns
        for row in reader:
            questions = tuple(part.strip() for part in (row["question"] or "").split("|") if part.strip())
            answer = (row["answer"] or "").strip()
            if not questions or not answer:
                raise Misconfigured(name, f"line {reader.line_num}: a question and an answer are needed")
            yield _entry(questions, answer, (row.get("language") or "").strip())
    except csv.Error as error:
        raise Misconfigured(name, f"not valid CSV: {error}") from None


def _entry(questions: tuple[str, ...], answer: str, language: str) -> Entry:
    """An entry whose id stays while its language and first question do."""
    return Entry(
        id=ids.derive("faq", language, questions[0]),
        questions=tuple(question[:MAX_QUESTION_CHARS] for question in questions),
        answer=answer[:MAX_ANSWER_CHARS],
        language=language,
    )
