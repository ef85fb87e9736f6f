#!/usr/bin/env python3
"""Clients that behave badly at random, against a server of its own, on loopback.
usage: chaos.py BINARY [--seconds 10] [--seed N] [flags of 'cancela run']

Sixty clients send valid, cut, mutated and pipelined requests, batches and notifications, and leave at
any moment: by FIN, by RST, half-closed, or in the middle of a head. It passes if afterwards no call is
left alive, the server still answers, ends with 0 on SIGTERM, and a sanitizer has nothing to say.
A failure prints the seed; timing differs from run to run, so it repeats the traffic, not the order."""
import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

CLIENTS = 60
METHODS = ["echo", "sleep", "cleanup", "timeout", "shield", "swallow", "fail", "typed", "abort",
           "headers", "big", "nope", "stat"]
GET = b"GET /rpc/stat?message=%7B%7D HTTP/1.1\r\nHost: localhost\r\n\r\n"


def call():
    """One JSON-RPC request, as an object: mostly right."""
    request = {"jsonrpc": "2.0", "method": random.choice(METHODS)}
    if random.random() < 0.85:
        request["id"] = random.choice([1, random.randint(2, 9), "s", None, 1.5])
    kind = random.random()
    if kind < 0.5:
        request["params"] = [random.choice([1, 5, 20, 60])]
    elif kind < 0.6:
        timeout = random.choice([0, 1, 10, 100, -1, "x"])
        request["params"] = {"a": {"b": [1, 2, {"c": None}]}, "_meta": {"timeout_ms": timeout}}
    elif kind < 0.65:
        request["params"] = 5
    return request


def body():
    kind = random.random()
    if kind < 0.1:
        return json.dumps([call() for _ in range(random.randint(0, 12))]).encode()
    if kind < 0.15:
        return random.randbytes(random.randint(0, 40))
    return json.dumps(call()).encode()


def chunked(data):
    out, at = b"", 0
    while at < len(data):
        piece = data[at:at + random.randint(1, 30)]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
        at += len(piece)
    return out + b"0\r\n\r\n"


def request():
    if random.random() < 0.1:
        return GET
    path = random.choice([b"/rpc"] * 8 + [b"/rpc/sleep", b"/rpc/echo", b"/x"])
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" % path
    if random.random() < 0.1:
        head += b"Connect-Timeout-Ms: " + random.choice([b"5", b"50", b"0", b"x"]) + b"\r\n"
    if random.random() < 0.05:
        head += b"Expect: 100-continue\r\n"
    if random.random() < 0.05:
        head += b"Connection: close\r\n"
    data = body()
    if random.random() < 0.2:
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(data)
    return head + b"Content-Length: %d\r\n\r\n" % len(data) + data


def mutated(data):
    data = bytearray(data)
    for _ in range(3):
        data[random.randrange(len(data))] = random.getrandbits(8)
    return bytes(data)


async def send(writer, data):
    at = 0
    while at < len(data):
        n = random.choice([len(data), len(data), 50, 7, 1000])
        writer.write(data[at:at + n])
        at += n
        if random.random() < 0.1:
            await writer.drain()


async def talk(reader, writer):
    """Sends a few rounds; returns early where the client would rather leave."""
    for _ in range(random.randint(1, 6)):
        data = b"".join(request() for _ in range(random.choice([1, 1, 1, 2, 5, 20])))
        await send(writer, mutated(data) if random.random() < 0.05 else data)
        if random.random() < 0.25:
            return
        patience = random.choice([0.001, 0.05, 0.3])
        try:
            if not await asyncio.wait_for(reader.read(random.choice([10, 1000, 100000])), patience):
                return
        except asyncio.TimeoutError:
            pass


def leave(writer):
    how = random.random()
    if how < 0.4:  # RST
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how < 0.6 and writer.can_write_eof():
        writer.write_eof()
    writer.close()


async def client(port, until):
    connections = 0
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            continue
        connections += 1
        try:
            await talk(reader, writer)
        except OSError:
            pass
        try:
            leave(writer)
        except OSError:
            pass
    return connections


async def active(port):
    """What 'stat' says is alive."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])["active"]


async def rage(port, seconds):
    until = time.monotonic() + seconds
    connections = sum(await asyncio.gather(*[client(port, until) for _ in range(CLIENTS)]))
    until = time.monotonic() + 10
    while (left := await active(port)) > 0 and time.monotonic() < until:
        pass
    return connections, left


def start(binary, flags, log):
    app = os.path.join(os.path.dirname(os.path.abspath(__file__)), "app.lua")
    server = subprocess.Popen([binary, "run", app, "--listen", "127.0.0.1:0", "--access-log", "all",
                               "--header-timeout", "300ms", "--body-timeout", "300ms", *flags],
                              stderr=log)
    for _ in range(3000):
        found = re.search(r"listening address=127\.0\.0\.1:(\d+)", open(log.name).read())
        if found:
            return server, int(found[1])
        if server.poll() is not None:
            break
        time.sleep(0.01)
    sys.exit("chaos: the server did not start:\n" + open(log.name).read())


def complaint(text):
    found = re.search(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|broken precondition)"
                      r"(.*\n){0,40}", text)
    return found[0] if found else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options, flags = parser.parse_known_args()
    random.seed(options.seed)
    with tempfile.NamedTemporaryFile("w") as log:
        server, port = start(options.binary, flags, log)
        try:
            connections, left = asyncio.run(rage(port, options.seconds))
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(60)
        text = open(log.name).read()
    wrong = [why for why in (complaint(text), f"exit code {code}" if code else None,
                             f"{left} calls left alive" if left else None) if why]
    print(f"{connections} connections, {len(re.findall(' call id=', text))} calls, seed {options.seed}")
    for why in wrong:
        print("FAILED:", why)
    print(f"{0 if wrong else 1} passed, {1 if wrong else 0} failed")
    return 1 if wrong else 0


sys.exit(main())
