#!/usr/bin/env python3
"""Reads what a service tells its manager at NOTIFY_SOCKET: each datagram is a line of JSON on stdout, its variables,
with the time that it came in microseconds of CLOCK_MONOTONIC as "at". The first line is {}: it reads.

usage: notified.py PATH|@NAME      until stdin ends"""
import json
import os
import select
import socket
import sys
import time

path = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + path[1:] if path.startswith("@") else path)
print("{}", flush=True)
while True:
    ready = select.select([s, sys.stdin], [], [])[0]
    if s in ready:
        text = s.recv(65536).decode()
        message = dict(line.split("=", 1) for line in text.split("\n"))
        print(json.dumps(message | {"at": time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}), flush=True)
    elif not os.read(0, 1):
        break
