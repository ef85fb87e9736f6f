#!/usr/bin/env python3
"""What a reload costs those who call meanwhile: reload.py CANCELA [--procedures N] [--reloads N] [--seconds S]

Serves an app of N procedures with one worker, and calls one of them every millisecond over a connection of its own,
for as long without reloads as with one every 50 ms; prints how long the calls took, and what memory is left.
"""
import argparse
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PROCEDURE = """
  procedure_%d = cancela.procedure {
    summary = "the procedure of that number",
    params = { type = "object", properties = { a = { type = "integer" }, b = { type = "string", maxLength = 100 } } },
    run = function(params, call)
      local words = {}
      for word in (params.b or "some words"):gmatch("%%w+") do
        words[#words + 1] = word:upper()
      end
      return { number = %d, a = params.a, words = words, generation = call.generation }
    end,
  },
"""


def write_app(folder, procedures):
    path = os.path.join(folder, "app.lua")
    with open(path, "w") as f:
        f.write('local cancela = require "cancela"\nreturn {\n')
        f.write("".join(PROCEDURE % (i, i) for i in range(procedures)))
        f.write("}\n")
    return path


class Gateway:
    def __init__(self, binary, app, folder):
        self.admin = os.path.join(folder, "admin.sock")
        self.child = subprocess.Popen(
            [binary, "run", app, "--listen", "127.0.0.1:0", "--admin", self.admin],
            stderr=subprocess.PIPE, text=True)
        found = re.search(r"address=127\.0\.0\.1:(\d+)", self.child.stderr.readline())
        if found is None:
            sys.exit("reload: the gateway does not start")
        self.port = int(found[1])
        threading.Thread(target=self.child.stderr.read, daemon=True).start()

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait()


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def reload_on(path, pid, seconds):
    """In a process of its own: how long each reload took, in ms, and how long the worker, in us; and the memory after
    20 of them."""
    operator = socket.socket(socket.AF_UNIX)
    operator.connect(path)
    answers, end = operator.makefile(), time.monotonic() + seconds
    took, stalls, warm = [], [], 0
    while time.monotonic() < end:
        operator.sendall(b'{"jsonrpc":"2.0","id":1,"method":"reload"}\n')
        result = json.loads(answers.readline())["result"]
        took.append(result["took_ms"])
        stalls.append(result["stall_us"])
        if len(took) == 20:
            warm = rss_kib(pid)
        time.sleep(0.05)
    return took, sorted(stalls), warm


def probe(port, seconds):
    """Latencies, in ms, of calls that are due every millisecond, from when they are."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"procedure_7","params":{"a":1,"b":"one two three"}}'
    request = (b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body)) + body
    conn = socket.create_connection(("127.0.0.1", port))
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times, begin = [], time.perf_counter()
    for i in range(int(seconds * 1000)):
        due = begin + i / 1000
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        sent = max(due, time.perf_counter())
        conn.sendall(request)
        if b'"result"' not in conn.recv(4096):
            sys.exit("reload: a call failed")
        times.append((time.perf_counter() - sent) * 1000)
    return sorted(times)


def report(what, times):
    def at(p):
        return times[min(int(len(times) * p), len(times) - 1)]
    print(f"{what:18} {len(times)} calls   p50 {at(.5):.3f}   p99 {at(.99):.3f}   p99.9 {at(.999):.3f}   "
          f"max {times[-1]:.3f} ms")
    return at(.99)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--procedures", type=int, default=100)
    parser.add_argument("--reloads", type=int, default=200)
    args = parser.parse_args()
    seconds = args.reloads * 0.05
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(args.binary, write_app(folder, args.procedures), folder)
        try:
            probe(gateway.port, 1)
            calm = report("without reloads", probe(gateway.port, seconds))
            with multiprocessing.Pool(1) as reloader:
                reloads = reloader.apply_async(reload_on, (gateway.admin, gateway.child.pid, seconds))
                stormy = report("with reloads", probe(gateway.port, seconds))
                took, stalls, warm = reloads.get()
            time.sleep(0.5)
            print(f"{len(took)} reloads of {args.procedures} procedures, {sum(took) / len(took):.1f} ms each, of which "
                  f"the worker {stalls[len(stalls) // 2]} us, at most {stalls[-1]}; p99 with / without "
                  f"{stormy / calm:.2f}; RSS after 20 reloads {warm} KiB, at the end {rss_kib(gateway.child.pid)} KiB")
        finally:
            gateway.stop()


main()
