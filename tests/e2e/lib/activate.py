#!/usr/bin/env python3
"""Opens sockets as a service manager does, and becomes COMMAND, which finds them at descriptors 3, 4 …

usage: activate.py SPEC COMMAND …

SPEC is JSON: {"sockets": [[ADDRESS, NAME] …], "pid": whose they are said to be (absent: COMMAND's),
"wait": true: a line on stdin is waited for before COMMAND begins}. An ADDRESS is "tcp", any free port of 127.0.0.1,
"unix:PATH", "unix:@NAME", "bound" (a TCP socket that does not listen), or "datagram". A NAME that is null is not told."""
import fcntl
import json
import os
import socket
import sys

spec = json.loads(sys.argv[1])
opened = []
for address, _ in spec["sockets"]:
    if address.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        path = address[len("unix:"):]
        s.bind("\0" + path[1:] if path.startswith("@") else path)
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if address == "datagram" else socket.SOCK_STREAM)
        s.bind(("127.0.0.1", 0))
    if address == "tcp" or address.startswith("unix:"):
        s.listen(64)
    opened.append(fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100))
    s.close()
for i, fd in enumerate(opened):
    os.dup2(fd, 3 + i)
    os.close(fd)
if spec.get("wait"):
    sys.stdin.readline()
os.environ["LISTEN_PID"] = str(spec.get("pid", os.getpid()))
os.environ["LISTEN_FDS"] = str(len(opened))
if all(name is not None for _, name in spec["sockets"]):
    os.environ["LISTEN_FDNAMES"] = ":".join(name for _, name in spec["sockets"])
os.execvp(sys.argv[2], sys.argv[2:])
