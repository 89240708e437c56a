"""Ports for servers on the loopback: the soak's, the benchmarks' and the tests'."""

import random
import socket


def free_port() -> int:
    """One that nobody gets by chance while its server is not there: systems give clients' connections ports above
    these."""
    while True:
        port = random.randrange(10_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
