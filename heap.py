"""How the process keeps its memory: tuned for many streams that live for seconds beside libraries that live for ever."""

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""
_THRESHOLDS = (20_000, 20, 100)
"""Objects made before the collector looks, and how often the older ones are looked through, too."""


def use_one_arena() -> None:
    """To be called before there are threads. glibc gives each thread an arena, which keeps for itself what was freed in
    it. Python's threads take turns anyway, so one serves them all, and what one of them frees another takes again: a
    third less is resident for each open stream (`make bench`). Does nothing where there is no glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """To be called once everything is loaded: what lives from here on is mostly a request's, so the collector need not
    walk the libraries again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
