"""A lexical index: words weighted as BM25 does, and letter sequences for inflections and misspellings.

BM25: https://doi.org/10.1561/1500000019, section 3. Its scores have no upper end, so what is returned is a share: how
much of the question's weight the entry's question has, and the other way round. 1 is the same question; unrelated
questions are near 0.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from router.retrieval.entries import Entry
from router.rules.words import normalised

MAX_CHARS = 500
"""Of what somebody asks, the first so many characters are looked at."""
_GRAM = 4
_SHARE_OF_WORDS = 0.65
_CANDIDATES = 40
_ENOUGH = 10
_COMMON = 0.1
"""Features of more than this share of a large index lead nowhere in particular."""
_LARGE = 100

_STOP_WORDS = """
    a an the is are was be do does did i you we my your our me it of in on to for with and or can could would how what
    when where which who please hello hi hey there this that have has
    o os as um uma e de do da dos das em no na nos nas para por com que se eu voce voces meu minha seu sua
    como qual quais quando onde quem posso pode gostaria ola oi bom boa dia tarde noite favor esta este tem
    el la los las un una y en con yo usted ustedes mi su nuestro cual cuales cuando donde quien
    puedo puede quisiera hola buenos buenas dias tardes noches hay es son del al
"""
_STOP = frozenset(_STOP_WORDS.split())
"""Words that every question has, in English, Portuguese and Spanish."""


class Hit(msgspec.Struct, frozen=True):
    """An entry that may be the answer, and how sure that is (0 to 1)."""

    entry: Entry
    score: float


class Index:
    """The entries, ready to be asked. Made once; asking changes nothing."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._texts = [(at, question) for at, entry in enumerate(entries) for question in entry.questions]
        features = [features_of(question) for _, question in self._texts]
        self._idf = _idf(features)
        self._unknown = math.log(1 + len(features)) + 1
        self._vectors = [self._weights(one) for one in features]
        self._norms = [sum(vector.values()) or 1.0 for vector in self._vectors]
        self._postings = self._posted()
        self._languages = languages_of(entries)

    def best(self, question: str, language: str | None = None, count: int = 3) -> list[Hit]:
        """The entries most like the question, the best first; of the language, when there are any in it."""
        wanted = self._weights(features_of(question[:MAX_CHARS]))
        if not wanted:
            return []
        only = primary(language) if primary(language) in self._languages else None
        asked, found = sum(wanted.values()), dict[int, float]()
        for at in self._candidates(wanted):
            entry_at = self._texts[at][0]
            if only is None or primary(self.entries[entry_at].language) in (only, ""):
                found[entry_at] = max(found.get(entry_at, 0.0), self._likeness(wanted, asked, at))
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:count]
        return [Hit(self.entries[at], round(score, 4)) for at, score in ranked]

    def _candidates(self, wanted: Mapping[str, float]) -> Iterable[int]:
        """The texts that share most with the question: by whole words, and by their parts when those find few."""
        sums: dict[int, float] = defaultdict(float)
        for of_parts in (False, True):
            for feature, weight in wanted.items():
                if feature.startswith("#") is of_parts:
                    for at in self._postings.get(feature, ()):
                        sums[at] += weight
            if len(sums) >= _ENOUGH:
                break
        return sums if len(sums) <= _CANDIDATES else heapq.nlargest(_CANDIDATES, sums, key=sums.__getitem__)

    def _likeness(self, wanted: Mapping[str, float], asked: float, at: int) -> float:
        """The share of the weight asked for that is in the text, and of the text's that was asked for; their mean."""
        vector = self._vectors[at]
        shared = sum([wanted[feature] for feature in wanted.keys() & vector.keys()])
        return math.sqrt(shared / asked * shared / self._norms[at])

    def _weights(self, features: Mapping[str, float]) -> dict[str, float]:
        return {feature: share * self._idf.get(feature, self._unknown) for feature, share in features.items()}

    def _posted(self) -> dict[str, list[int]]:
        postings: dict[str, list[int]] = defaultdict(list)
        for at, vector in enumerate(self._vectors):
            for feature in vector:
                postings[feature].append(at)
        if len(self._vectors) < _LARGE:
            return dict(postings)
        most = _COMMON * len(self._vectors)
        return {feature: places for feature, places in postings.items() if len(places) <= most}


def primary(language: str | None) -> str:
    """The language of a BCP 47 tag, without country and script."""
    return (language or "").partition("-")[0].lower()


def languages_of(entries: Iterable[Entry]) -> frozenset[str]:
    """The languages there are entries in."""
    return frozenset(primary(entry.language) for entry in entries)


def features_of(text: str) -> dict[str, float]:
    """The telling words of a text and the letter sequences in them, with their shares."""
    words = normalised(text).split()
    telling = [_singular(word) for word in words if word not in _STOP] or words
    features: dict[str, float] = defaultdict(float)
    for word in telling:
        features[word] += _SHARE_OF_WORDS
        grams = _grams(word)
        for gram in grams:
            features[gram] += (1 - _SHARE_OF_WORDS) / len(grams)
    return {feature: min(share, 1.0) for feature, share in features.items()}


def _singular(word: str) -> str:
    """Without the plural that English, Portuguese and Spanish share."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _grams(word: str) -> list[str]:
    framed = f"<{word}>"
    return [f"#{framed[at : at + _GRAM]}" for at in range(max(1, len(framed) - _GRAM + 1))]


def _idf(features: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """How telling a feature is: the fewer texts have it, the more (BM25's weight, kept above zero)."""
    counts: dict[str, int] = defaultdict(int)
    for one in features:
        for feature in one:
            counts[feature] += 1
    total = len(features)
    return {feature: math.log(1 + (total - n + 0.5) / (n + 0.5)) + 1 for feature, n in counts.items()}
