"""``python bench [CASE…]``: measures what AgentPod claims, prints a table, and writes ``results/latest.json``.

Ends with 0 where every goal was kept, 1 where one was missed or a case failed.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path

from cases import CASES
from harness import Row, exit_code, run, table, write
from harness.machine import machine
from stage import Stage

RESULTS = Path(__file__).parent / "results"
INTERRUPTED = 130


def main() -> int:
    """Measure the cases that were asked for, or all."""
    asked = _asked()
    if asked.list:
        width = max(len(case.name) for case in CASES)
        print("\n".join(f"{case.name:{width}}  {case.title}" for case in CASES))
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    where = machine()
    print("\n".join(f"{what:15} {value}" for what, value in where.items()), flush=True)
    rows: list[Row] = []
    begun = time.monotonic()
    is_whole = False
    with contextlib.suppress(KeyboardInterrupt), Stage(is_quick=asked.quick) as stage:
        wanted = [case for case in CASES if not asked.cases or case.name in asked.cases]
        # What a failed case left behind is nobody's measure: the next one begins anew.
        for row in run(wanted, stage, failing=lambda _: stage.clear()):
            rows.append(row)
            print(f"{time.monotonic() - begun:6.0f} s  {row.case}", file=sys.stderr, flush=True)
            write(RESULTS, rows, where)
        is_whole = True
    print(f"\n{table(rows)}\n\nin {(time.monotonic() - begun) / 60:.1f} minutes")
    if asked.quick:
        print("Too few turns for a claim: --quick shows that the cases work.")
    return exit_code(rows) if is_whole else INTERRUPTED


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python bench", description=__doc__)
    parser.add_argument("cases", metavar="CASE", nargs="*", help="run these cases only")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument(
        "--quick", action="store_true", help="take few turns: shows that the cases work, claims nothing"
    )
    asked = parser.parse_args()
    if unknown := set(asked.cases) - {case.name for case in CASES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(case.name for case in CASES)}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
