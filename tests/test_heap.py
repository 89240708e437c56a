"""How memory is kept, as the C library tells it, in a process of its own."""

import subprocess
import sys

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
