"""How memory is kept, as the C library tells it, in a process of its own."""

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

THREADS = """
import ctypes, os, sys, tempfile, threading
if sys.argv[1] == "one":
    import heap
    heap.use_one_arena()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.fopen.restype = ctypes.c_void_p
everybody = threading.Barrier(4)
def work():
    libc.malloc(100_000)
    everybody.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "told")
    file = ctypes.c_void_p(libc.fopen(path.encode(), b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
    print(open(path).read().count("<heap nr="))
"""


def arenas(kind: str) -> int:
    told = subprocess.run([sys.executable, "-c", THREADS, kind], capture_output=True, text=True, check=True)
    return int(told.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is asked")
def test_all_threads_share_one_arena() -> None:
    assert arenas("many") > 1, "this machine's C library has arenas"
    assert arenas("one") == 1


HUGE_PAGES = """
import heap
kept = [[number] for number in range(500_000)]
def huge():
    rollup = open("/proc/self/smaps_rollup").read()
    return int(rollup.split("AnonHugePages:")[1].split()[0])
before = huge()
heap.settle()
print(before, huge(), heap.use_huge_pages())
assert kept[499_999] == [499_999]
"""


def has_huge_pages() -> bool:
    """Whether the kernel has them, and lets a process ask for them at once (Linux 6.1)."""
    told = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    release = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
    return told.exists() and "[never]" not in told.read_text() and release >= (6, 1)


@pytest.mark.skipif(not has_huge_pages(), reason="this kernel gives none for the asking")
def test_what_is_loaded_lies_on_huge_pages() -> None:
    told = subprocess.run([sys.executable, "-c", HUGE_PAGES], capture_output=True, text=True, check=True)
    before, after, again = map(int, told.stdout.split())
    assert after > before + 16_000, "of some 40 MB"
    assert again > 0, "what is there already is no failure"
