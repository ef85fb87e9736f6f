#!/usr/bin/env python3
"""One worker that publishes to many subscribers, beside node with npm ws, in turns.

usage: pubsub.py CANCELA READERS [--clients 1000] [--rate 1000] [--seconds 5] [--bytes 100] [--rounds 3]

READERS is the program bench_readers. The server has processor 0, the readers have 1. Prints of each round how
many messages a second were delivered, how many were missed or came out of order, and the server's processor
time for each delivery; then the medians and their ratio.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE.parent / "e2e" / "node_modules"
PORTS = {"cancela": 7021, "node": 7022}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cancela")
    parser.add_argument("readers")
    for name, default in {"clients": 1000, "rate": 1000, "seconds": 5, "bytes": 100, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def on_processor(number, *command, **options):
    return subprocess.Popen(["taskset", "-c", str(number), *map(str, command)], text=True, **options)


def start(name, options):
    port = PORTS[name]
    if name == "node":
        return on_processor(0, "node", HERE / "pubsub/node.cjs", port, env=os.environ | {"NODE_PATH": str(MODULES)})
    return on_processor(0, options.cancela, "run", HERE / "pubsub/app.lua", "--listen", f"127.0.0.1:{port}",
                        "--max-call-timeout", "300s", stderr=subprocess.DEVNULL)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_readers(name, options):
    """The readers, when each is subscribed; the server may still be starting."""
    for _ in range(50):
        readers = on_processor(1, options.readers, PORTS[name], "/rpc", options.clients,
                               options.rate * options.seconds, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if readers.stdout.readline() == "ready\n":
            return readers
        readers.wait()
        time.sleep(0.1)
    sys.exit(f"pubsub: {name} does not answer at port {PORTS[name]}")


def measure(name, options):
    """(deliveries a second, missed, out of order, microseconds of the server for a delivery)"""
    server = start(name, options)
    try:
        readers = open_readers(name, options)
        used, began = cpu_seconds(server.pid), time.monotonic()
        subprocess.run([options.cancela, "call", f"http://127.0.0.1:{PORTS[name]}", "run", "--timeout", "250s",
                        f"messages={options.rate * options.seconds}", f"rate={options.rate}",
                        f"bytes={options.bytes}"], check=True, stdout=subprocess.DEVNULL)
        got, missed, disordered = map(int, readers.communicate(timeout=120)[0].split())
        took, used = time.monotonic() - began, cpu_seconds(server.pid) - used
    finally:
        server.terminate()
        server.wait()
    return got / took, missed, disordered, used / got * 1e6


def main():
    options = arguments()
    costs = {name: [] for name in PORTS}
    for number in range(options.rounds):
        for name in PORTS:
            rate, missed, disordered, cost = measure(name, options)
            costs[name].append(cost)
            print(f"round {number + 1}  {name:8} {rate:10,.0f} deliveries/s  {missed} missed  {disordered} out of order  "
                  f"{cost:.3f} us of processor time each", flush=True)
    ours, theirs = (statistics.median(costs[name]) for name in PORTS)
    print(f"median of {options.rounds}: cancela {ours:.3f} us, node ws {theirs:.3f} us a delivery: {theirs / ours:.1f} times less")


if __name__ == "__main__":
    main()
