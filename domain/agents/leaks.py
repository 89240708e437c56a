"""Keeps the desk's own instructions out of its answers, whoever asks for them.

What a model was told is known here word for word, so a leak is known by its words too: RUN words in a row that stand in
the instructions stand nowhere else by chance. What comes from there on is not shown.
"""

import re
from collections import deque
from collections.abc import Iterable

RUN = 8
INSTEAD = "I can't share the instructions that I work by."

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


class Instructions:
    """The texts that are not to be told."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs = {run for text in texts for run in _runs(_words(text))}

    def watch(self) -> "LeakWatch":
        return LeakWatch(self._runs)


class LeakWatch:
    """Reads one answer as it is written, whole pieces of it."""

    def __init__(self, runs: set[tuple[str, ...]]) -> None:
        self._runs = runs
        self._last: deque[str] = deque(maxlen=RUN)
        self._rest = ""
        """The word that may go on."""

    def leaks(self, text: str) -> bool:
        """Whether the answer, with this piece, says what it should not."""
        text = self._rest + text
        found = list(_WORD.finditer(text))
        if found and found[-1].end() == len(text):
            self._rest = found.pop()[0]
        else:
            self._rest = ""
        for match in found:
            self._last.append(match[0].casefold())
            if tuple(self._last) in self._runs:
                return True
        return False


NO_INSTRUCTIONS = Instructions(())


def _words(text: str) -> list[str]:
    return [match[0].casefold() for match in _WORD.finditer(text)]


def _runs(words: list[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(RUN)), strict=False)
