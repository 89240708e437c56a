"""How the process keeps its memory: tuned for many streams that live for seconds beside libraries that live for ever."""

import ctypes
import gc
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""
_THRESHOLDS = (20_000, 20, 100)
"""Objects made before the collector looks, and how often the older ones are looked through, too."""
_MADV_COLLAPSE = 25
"""From Linux's mman.h, since 6.1."""
_IN_USE = 0.9
"""The part of a region that must be in memory: the rest of it will be, too."""
_PATIENCE = 1.0
"""Seconds in which regions are begun to be put on huge pages: where memory is scarce, the kernel has to look for room."""
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")


def use_one_arena() -> None:
    """To be called before there are threads. glibc gives each thread an arena, which keeps for itself what was freed in
    it. Python's threads take turns anyway, so one serves them all, and what one of them frees another takes again: a
    third less is resident for each open stream (`make bench`). Does nothing where there is no glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """To be called once everything is loaded: what lives from here on is mostly a request's, so the collector need not
    walk the libraries again, and what they hold can lie on huge pages."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    with suppress(AttributeError, OSError, ValueError):
        use_huge_pages()


def use_huge_pages() -> int:
    """Puts what the process holds on huge pages, and returns how many. A turn goes through objects that lie on thousands
    of small ones, more than a processor knows the places of, and it looks each up: a sixth of the turn's time
    (docs/decisions/0068). For what is mostly in memory anyway, and not where the administrator wants none.

    Raises AttributeError, OSError or ValueError where there is nothing of the kind."""
    if "[never]" in (_HUGE_PAGES / "enabled").read_text():
        return 0
    size = int((_HUGE_PAGES / "hpage_pmd_size").read_text())
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    until, done = time.monotonic() + _PATIENCE, 0
    for start, end in _own_regions():
        for place in range(-(-start // size) * size, end - size + 1, size):
            if time.monotonic() > until:
                return done
            done += advise(place, size, _MADV_COLLAPSE) == 0
    return done


def _own_regions() -> Iterator[tuple[int, int]]:
    """The addresses of what is the process's alone, no file's, and in use, from /proc/self/smaps."""
    start = end = kilobytes = 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *rest = line.split()
        if name == "Size:":
            kilobytes = int(rest[0])
        elif name == "Rss:" and int(rest[0]) > _IN_USE * kilobytes and end > start:
            yield start, end
        elif "-" in name and len(rest) >= 4:
            is_own = rest[0] == "rw-p" and rest[3] == "0"
            start, end = (int(address, 16) for address in name.split("-")) if is_own else (0, 0)
