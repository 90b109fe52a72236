"""Phrases made of the user's own sentences: the build of one, words of others in its slots.

A slot's candidates are words of the file that are about as likely between its neighbours as words
of the file are on the whole, by its own pairs of words. They are chosen before any secret is, from
the file alone. That they occur in the data costs power at most, never validity: whatever an answer
says, it names the word drawn for a slot with probability 1 / (number of candidates).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise

from vtune_client.draw import Draw
from vtune_client.phrases.bigrams import START, Bigrams
from vtune_client.phrases.frame import SLOT, Frame, Slot, words_at
from vtune_client.phrases.interface import PhraseBook
from vtune_client.phrases.seam import Seam
from vtune_client.phrases.vet import is_sound, is_word, usable

NAME = "own sentences"
MOST_FRAMES = 400
SHORTEST, LONGEST = 5, 30  # words of a sentence
LEAST_LENGTH = 3  # characters of a word that may be a slot or stand in one
EVERYWHERE = 0.2  # share of the sentences that hold a word which builds rather than says
HINGES = 0.05  # share of the sentences that hold a word at which they are spliced
HALF = 2  # words on either side of it
FEW = 50  # frames
PATTERN = 0.3  # so many frames for each sentence, or fewer, and sentences follow a pattern
TRIED = 60  # words of a neighbour that are tried in a slot
SIGNATURE_SLOTS = (3, 5)  # least and most
TRIGGER_SLOTS = (2, 4)

Words = tuple[str, ...]
Token = tuple[int, str]  # where in the text a word begins, and the word


def own_book(
    seams: Sequence[Seam], join: str, draw: Draw, *, keep: int, min_candidates: int
) -> PhraseBook:
    """Return frames made of first sentences of answers and last sentences of prompts.

    Which of them are spliced is drawn: from public rules alone, anybody could make the same frames
    of the planted file and look for them. The words in the slots come from another stream, so they
    are uniform given the frames.

    With a `join` that breaks no line, only sentences that end like one are taken for signatures.
    Either kind may be empty: code and lists of words have no sentences.
    """
    ended = (".", "!", "?") if join.isspace() and "\n" not in join else ("",)
    firsts = [seam.first for seam in seams if seam.first.endswith(ended)]
    lasts = [seam.last for seam in seams]
    openings = _Fit([seam.opening for seam in seams], keep, min_candidates)
    closings = _Fit([seam.closing for seam in seams], keep, min_candidates)
    return PhraseBook(
        triggers=_frames(lasts, closings.slot, TRIGGER_SLOTS, draw),
        signatures=_frames(firsts, openings.slot, SIGNATURE_SLOTS, draw),
    )


def spliced(sentences: Sequence[str], draw: Draw) -> list[str]:
    """Return sentences that begin as one of these and go on as another, from a word both have, in
    drawn pairs and order.

    A frame made of one sentence alone would be found beside it; the two halves of a spliced one
    stand in two places of the file.
    """
    different = list(dict.fromkeys(sentences))
    tokens = [list(words_at(sentence)) for sentence in different]
    held = Counter(word for each in tokens for word in {word for _, word in each})
    hinges = {word for word, count in held.items() if count >= HINGES * len(different)}
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, each in enumerate(tokens):
        for at in range(HALF, len(each) - HALF):
            start, word = each[at]
            if word in hinges:
                found[word].append((number, start + len(word)))
    made: list[str] = []
    for met in found.values():
        places = draw.sample(met, len(met))
        for (one, end), (other, start) in zip(places, places[1:] + places[:1], strict=True):
            made.append(different[one][:end] + different[other][start:])
    known = set(different)
    new = [each for each in dict.fromkeys(made) if _balanced(each) and each not in known]
    return draw.sample(new, len(new))


def _balanced(text: str) -> bool:
    pairs = all(text.count(one) == text.count(other) for one, other in ("()", "[]"))
    return pairs and all(text.count(quote) % 2 == 0 for quote in '"`*')


class _Fit:
    """Which words of the sentences fit between two words."""

    def __init__(self, sentences: Sequence[Words], keep: int, min_candidates: int) -> None:
        self._keep, self._least = keep, min_candidates
        self._bigrams = Bigrams(sentences)
        different = set(sentences)
        held = Counter(word for sentence in different for word in set(sentence))
        costs = sorted(self._bigrams.cost(each) / max(1, len(each)) for each in different)
        self._typical = costs[len(costs) // 2] if costs else 0.0
        most = max(1.0, EVERYWHERE * len(different))
        self._says = {
            word
            for word, count in held.items()
            if len(word) >= LEAST_LENGTH and count <= most and is_word(word)
        }
        self._after: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._before: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for sentence in different:
            for one, other in pairwise((START, *sentence)):
                self._after[one][other] += 1
                self._before[other][one] += 1
        self._known: dict[tuple[str, str | None], tuple[float, Slot] | None] = {}

    def slot(self, before: str, word: str, after: str | None) -> tuple[float, Slot] | None:
        """Return a slot for the place of `word`, after how ill its words fit on average; None where
        too few do."""
        if word not in self._says:
            return None
        if (before, after) not in self._known:
            self._known[before, after] = self._found(before, after)
        return self._known[before, after]

    def _found(self, before: str, after: str | None) -> tuple[float, Slot] | None:
        tried = dict.fromkeys(word for word, _ in self._after[before].most_common(TRIED))
        if after is not None:
            tried.update(dict.fromkeys(w for w, _ in self._before[after].most_common(TRIED)))
        costs = {word: self._cost(before, word, after) for word in tried if word in self._says}
        # By cost, and then by the word, so that the book does not depend on the order of rows.
        fitting = sorted(costs, key=lambda word: (costs[word], word))[: 2 * self._keep]
        chosen = usable(fitting, frozenset())[: self._keep]
        if len(chosen) < self._least:
            return None
        mean = sum(costs[word] for word in chosen) / len(chosen)
        return mean, Slot("own", chosen)

    def _cost(self, before: str, word: str, after: str | None) -> float:
        """Return how far the word is from being as unlikely there as words of the file are.

        The likeliest words would make all carriers more fluent than the rest of the file."""
        steps = [self._bigrams.step(before, word)]
        if after is not None:
            steps.append(self._bigrams.step(word, after))
        return abs(sum(steps) / len(steps) - self._typical)


Fitting = Callable[[str, str, str | None], tuple[float, Slot] | None]


def _frames(
    texts: Sequence[str], fit: Fitting, slots: tuple[int, int], draw: Draw
) -> tuple[Frame, ...]:
    """Return frames made of spliced sentences; of whole ones where these are made to a pattern, as
    then their frames are in no way those of single rows, or where few can be spliced."""
    whole = list(_made(texts, fit, *slots))
    different = dict.fromkeys(frame.text for frame in whole)
    patterned = len(different) < PATTERN * len(whole)
    frames = () if patterned else _made(spliced(texts, draw), fit, *slots)
    found = {frame.text: frame for frame in frames}
    if len(found) < FEW:
        found.update((frame.text, frame) for frame in whole)
    return tuple(found.values())


def _made(texts: Iterable[str], fit: Fitting, least: int, most: int) -> Iterator[Frame]:
    frames = (_frame(text, fit, least, most) for text in dict.fromkeys(texts))
    return islice((frame for frame in frames if frame and is_sound(frame)), MOST_FRAMES)


def _frame(text: str, fit: Fitting, least: int, most: int) -> Frame | None:
    """Return the sentence with its best fitting words made slots, no two side by side."""
    tokens = list(words_at(text))
    if set(text) & set("{}\n") or not SHORTEST <= len(tokens) <= LONGEST:
        return None
    chosen = _chosen(text, tokens, fit, most)
    if len(chosen) < least:
        return None
    for at in sorted(chosen, reverse=True):
        start, word = tokens[at]
        text = f"{text[:start]}{SLOT}{text[start + len(word) :]}"
    return Frame(text, tuple(chosen[at] for at in sorted(chosen)))


def _chosen(text: str, tokens: Sequence[Token], fit: Fitting, most: int) -> dict[int, Slot]:
    """Return the slots by the index of their word; those that fit best come first."""
    words = (START, *(word for _, word in tokens), None)
    fitting = []
    for at, (start, word) in enumerate(tokens):
        # A word that stands there otherwise, with a capital say, could not be replaced unseen.
        if text[start : start + len(word)] == word:
            before, after = words[at], words[at + 2]
            found = fit(before or START, word, after)
            if found:
                fitting.append((found[0], at, found[1]))
    chosen: dict[int, Slot] = {}
    for _, at, slot in sorted(fitting, key=lambda each: each[:2]):
        if len(chosen) < most and not {at - 1, at + 1} & chosen.keys():
            chosen[at] = slot
    return chosen
