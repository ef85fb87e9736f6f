#!/usr/bin/env python3
"""What Lua code costs in the runtime, against a plain state of the same liblua, in instructions.

usage: costs.py BENCH_LUA [WORKLOAD…]      exit 1 if something costs more than its limit

Each file of costs/ is run N and 2 N times in both, under callgrind: the difference is the cost of N,
without what it takes to start. Instructions, unlike times, are the same on a busy machine. At last
the time of one checkpoint is measured, for which the best of several runs counts.
"""
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "costs"

# Workload: (N, most instructions in the runtime for each in a plain state; None: only shown).
WORKLOADS = {
    "arithmetic": (200000, 1.01),
    "calls": (2000, 1.01),
    "concatenation": (2000, 1.01),
    "pcall": (20000, 1.1),
    "pcall_error": (5000, None),
    "xpcall": (20000, None),
    "generator": (20000, None),
    "find": (5000, 1.1),
    "gsub": (1000, 1.1),
    "rep": (10000, 1.1),
    "insert": (2000, 1.1),
    "concat": (5000, 1.1),
    "sort": (100, 1.1),
}
CHECKPOINT_NS = 30
CHECKPOINTS, TRIES = 2000000, 7


def instructions(bench, mode, name, n):
    result = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", bench, mode, FOLDER / f"{name}.lua", str(n)],
        capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode != 0 or not found:
        sys.exit(f"costs: {bench} {mode} {name} failed:\n{result.stderr}")
    return int(found[1])


def cost(bench, mode, name, n):
    return (instructions(bench, mode, name, 2 * n) - instructions(bench, mode, name, n)) / n


def compare(bench, name):
    """Prints a line; returns whether it is within its limit."""
    n, limit = WORKLOADS[name]
    plain, ours = cost(bench, "plain", name, n), cost(bench, "cancela", name, n)
    within = limit is None or ours <= limit * plain
    print(f"{name:<14} {plain:>12.1f} {ours:>12.1f}  x{ours / plain:<7.3f}"
          f"{f'at most x{limit}' if limit else '':<15}{'' if within else 'TOO MUCH'}", flush=True)
    return within


def seconds(bench, n):
    best = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        subprocess.run([bench, "cancela", FOLDER / "checkpoint.lua", str(n)], check=True)
        best = min(best, time.perf_counter() - began)
    return best


def time_checkpoint(bench):
    ns = (seconds(bench, 2 * CHECKPOINTS) - seconds(bench, CHECKPOINTS)) / CHECKPOINTS * 1e9
    within = ns <= CHECKPOINT_NS
    print(f"{'checkpoint':<14} {ns:.1f} ns, at most {CHECKPOINT_NS} ns {'' if within else 'TOO MUCH'}", flush=True)
    return within


def main(arguments):
    if not arguments or not Path(arguments[0]).is_file():
        sys.exit(__doc__)
    bench, names = str(Path(arguments[0]).resolve()), arguments[1:]
    if not shutil.which("valgrind"):
        print("costs: valgrind is not installed, so nothing is compared: run scripts/setup --tests")
        print(f"0 passed, 0 failed, {len(names or WORKLOADS) + (not names)} skipped")
        return 0
    print(f"{'instructions':<14} {'plain':>12} {'cancela':>12}")
    good = [compare(bench, name) for name in names or WORKLOADS if name != "checkpoint"]
    if not names or "checkpoint" in names:
        good.append(time_checkpoint(bench))
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    return 0 if all(good) else 1


sys.exit(main(sys.argv[1:]))
