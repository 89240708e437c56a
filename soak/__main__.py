"""Turns lose nothing: workers are killed with -9, connections are cut, and what clients saw is compared with what is
stored. On real processes and databases; bounded, and cleaned up whatever happens.

    python -m soak [--database sqlite] [--minutes 30] [--kills 20] [--cuts 500] [--workers 3] [--seed 1]

Ends with status 1 when a rule of docs/PROTOCOL.md was broken, naming the turn and the evidence.
"""

import argparse
import signal
import sys

import pytest

from soak.run import Plan, Report, soak
from tests.databases import BACKENDS

SHOWN = 40
"""Violations in full; the rest is counted."""


def table(report: Report) -> str:
    """What happened, one line a kind."""
    reconnects, cuts, turns = report.reconnects, report.cuts, report.turns
    rows = {
        "turns": f"{turns.total()}: {_each(turns)}; {report.again} regenerate an interrupted answer",
        "events seen": f"{report.events}",
        "model calls": f"{report.calls}",
        "kills": f"{report.kills} of {report.plan.workers} workers, each ready again within {report.restart:.1f} s",
        "cuts": f"{report.responses_cut} within a response ({_each(cuts)})",
        "reconnects": f"{reconnects.total()}: {_each(reconnects)}",
        "tried again": _each(report.retried) or "nothing",
        "most lost": f"{report.most_lost * 1000:.0f} ms before a kill, of what was told",
        "given up": f"{report.given_up} turns by workers that lived; a small request took {report.slowest:.1f} s at most",
        "violations": f"{len(report.violations)}",
    }
    head = f"soak on {report.plan.database}, seed {report.plan.seed}: {report.seconds:.0f} s"
    return "\n".join([head, *(f"  {name:<12} {row}" for name, row in rows.items())])


def _each(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count)


def failures(report: Report) -> str:
    shown = [f"  BROKEN {violation}" for violation in report.violations[:SHOWN]]
    more = len(report.violations) - SHOWN
    return "\n".join([*shown, *([f"  … and {more} more"] if more > 0 else [])])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--database", choices=[*BACKENDS, "all"], default="all")
    parser.add_argument("--minutes", type=float, default=0.0, help="each database at least so long")
    parser.add_argument("--kills", type=int, default=20, help="at least so many on each database")
    parser.add_argument("--cuts", type=int, default=500, help="at least so many on each database")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--people", type=int, default=12, help="clients that ask at once")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by the way of all errors, which cleans up
    broken = 0
    for database in BACKENDS if options.database == "all" else (options.database,):
        plan = Plan(
            database=database,
            kills=options.kills,
            cuts=options.cuts,
            seconds=options.minutes * 60,
            workers=options.workers,
            people=options.people,
            seed=options.seed,
        )
        try:
            report = soak(plan)
        except pytest.skip.Exception as missing:
            print(f"soak on {database}: skipped, {missing}", flush=True)
            continue
        print(table(report), flush=True)
        if report.violations:
            print(failures(report), flush=True)
        broken += len(report.violations)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
