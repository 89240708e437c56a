"""Keeps the desk's own instructions out of its answers, whoever asks for them.

What a model was told is known here word for word, so a leak is known by its words too: RUN words in a row that stand in
the instructions stand nowhere else by chance. What comes from there on is not shown.
"""

import re
from collections.abc import Iterable

RUN = 8
INSTEAD = "I can't share the instructions that I work by."

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


class Instructions:
    """The texts that are not to be told."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.runs = {run for text in texts for run in _runs(_words(text))}
        self.ends = {run[-1] for run in self.runs}

    def watch(self) -> "LeakWatch":
        return LeakWatch(self)


class LeakWatch:
    """Reads one answer as it is written, whole pieces of it."""

    def __init__(self, secret: Instructions) -> None:
        self._secret = secret
        self._last: list[str] = []
        self._rest = ""
        """The word that may go on."""

    def leaks(self, text: str) -> bool:
        """Whether the answer, with this piece, says what it should not."""
        text = self._rest + text
        found: list[str] = _WORD.findall(text)
        self._rest = found.pop() if found and text.endswith(found[-1]) else ""
        for word in found:
            word = word.casefold()
            self._last.append(word)
            if word in self._secret.ends and tuple(self._last[-RUN:]) in self._secret.runs:
                return True
        del self._last[:-RUN]
        return False


NO_INSTRUCTIONS = Instructions(())


def _words(text: str) -> list[str]:
    return [match[0].casefold() for match in _WORD.finditer(text)]


def _runs(words: list[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(RUN)), strict=False)
