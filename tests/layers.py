#!/usr/bin/env python3
"""Checks the includes and headers of src/ against the layers.

usage: layers.py [FOLDER]      exit 1 and one line a finding if a rule is broken
       layers.py --self-test   each rule refuses a tree made to break it
"""
import re
import sys
import tempfile
from pathlib import Path

# Layer: the layers below it that its files may include.
ALLOWED = {
    "base": [],
    "cancel": ["base"],
    "json": ["base"],
    "http": ["base"],
    "ws": ["base"],
    "rpc": ["base", "cancel", "json"],
    "io": ["base"],
    "task": ["base", "cancel", "io"],
    "gateway": ["base", "cancel", "http", "ws", "rpc", "io"],
    "bind": ["base", "cancel", "json", "http", "ws", "rpc", "io", "task", "gateway"],
    "cli": ["base", "cancel", "json", "http", "ws", "rpc", "io", "task", "gateway", "bind"],
}
ALLOWED["main"] = [*ALLOWED["cli"], "cli"]  # src/main.c

# Families of library headers, and who may include them.
LIBRARIES = {
    "llhttp": (r"llhttp\.h", {"http"}),
    "zlib": (r"zlib\.h", {"ws"}),
    "openssl": (r"openssl/.*", {"ws", "io"}),
    "curl": (r"curl/.*", {"io"}),
    "uv": (r"uv\.h|uv/.*", {"io", "task", "gateway", "bind"}),
    "lua": (r"lua\.h|luaconf\.h|lauxlib\.h|lualib\.h", {"task", "bind"}),
}
EVERYTHING = {"cli", "main"}
C_HEADERS = set("""assert ctype errno float inttypes iso646 limits locale math setjmp signal stdalign
    stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string time wchar
    immintrin emmintrin arm_neon""".split())
POSIX = re.compile(r"""(unistd|fcntl|pthread|poll|strings|netdb|dirent|termios|getopt|malloc|dlfcn|
    sched|semaphore|pwd|grp|ucontext|(sys|netinet|arpa|linux)/\w+)\.h""", re.X)
PURE = {"cancel", "json", "http", "ws", "rpc"}  # bytes in, events out: no operating system

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>]+)>|"([^"]+)")', re.M)
TOKEN = re.compile(r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' |
    ^[ \t]*\#(?:\\\n|[^\n])* | [{};] | \n | [^\n{};/"'\#]+ | .""", re.X | re.S | re.M)


def layer_of(path):
    return path.parts[0] if len(path.parts) > 1 else path.stem


def check_system_include(layer, name):
    for family, (pattern, layers) in LIBRARIES.items():
        if re.fullmatch(pattern, name):
            if layer not in layers | EVERYTHING:
                return f"{layer} may not use {family} (<{name}>)"
            return None
    if name.endswith(".h") and name[:-2] in C_HEADERS:
        return None
    if POSIX.fullmatch(name):
        return f"{layer} is pure: no <{name}>" if layer in PURE else None
    return f"<{name}> is in no known family"


def check_own_include(root, path, name):
    layer, other = layer_of(path), Path(name)
    if len(other.parts) < 2:
        return f'write "{name}" as "layer/file.h"'
    if not (root / name).is_file():
        return f'"{name}" is not there'
    if layer_of(other) != layer and layer_of(other) not in ALLOWED[layer]:
        return f'{layer} may not include "{name}"'
    return None


def declarations(text):
    """Yields (line, text, has_comment) of each top-level declaration or inline function."""
    depth, line, part, start, seen, comment_line = 0, 1, "", 0, False, -1
    for match in TOKEN.finditer(text):
        token = match[0]
        if token.startswith(("/*", "//")):
            if depth == 0 and not part.strip():
                comment_line = line + token.count("\n")
        elif not token.lstrip().startswith("#"):
            if not part.strip() and token.strip():
                start, seen, part = line, comment_line == line - 1, ""
            part += token if depth == 0 else ""
            depth += (token == "{") - (token == "}")
            is_function = token == "}" and ")" in part
            if depth == 0 and (token == ";" or is_function):
                yield start, " ".join(part.split()), seen
                part = ""
        line += token.count("\n")


def check_header(path, text):
    guard = "CLA_" + "_".join(path.with_suffix("").parts).upper().replace("-", "_") + "_H"
    lines = [l for l in text.splitlines() if l.startswith("#")]
    if lines[:2] != [f"#ifndef {guard}", f"#define {guard}"] or lines[-1:] != ["#endif"]:
        yield 1, f"the guard should be {guard}"
    if not text.startswith("/*"):
        yield 1, "a header opens with a comment that says what it is for"
    for line, declaration, has_comment in declarations(text):
        is_prototype = re.match(r"[^={]*\w\s*\(", declaration) and "struct {" not in declaration
        if is_prototype and not has_comment:
            yield line, f"no contract comment: {declaration[:60]}"


def find_cycle(graph):
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        found = next(filter(None, map(visit, graph.get(node, []))), None)
        path.pop()
        done.add(node)
        return found

    return next(filter(None, map(visit, sorted(graph))), None)


def check_file(root, path, graph):
    text = (root / path).read_text(encoding="utf-8")
    if layer_of(path) not in ALLOWED:
        yield 1, f"no layer is called {layer_of(path)}"
        return
    own = []
    for match in INCLUDE.finditer(text):
        if match[1]:
            finding = check_system_include(layer_of(path), match[1])
        else:
            finding = check_own_include(root, path, match[2])
            own.append(match[2])
        if finding:
            yield text.count("\n", 0, match.start()) + 1, finding
    if path.suffix == ".h":
        graph[str(path)] = own
        yield from check_header(path, text)


def check_tree(root):
    findings, graph = [], {}
    for file in sorted(p for p in root.rglob("*") if p.suffix in (".c", ".h")):
        path = file.relative_to(root)
        findings += [f"src/{path}:{line}: {text}" for line, text in check_file(root, path, graph)]
    cycle = find_cycle(graph)
    if cycle:
        findings.append("include cycle: " + " -> ".join(cycle))
    return findings, len(graph)


def header(path, body):
    guard = "CLA_" + path[:-2].replace("/", "_").upper() + "_H"
    return f"/* What. */\n#ifndef {guard}\n#define {guard}\n{body}\n#endif\n"


GOOD = {
    "base/a.h": header("base/a.h", "#include <stdint.h>\n/* Does. */\nint cla_a(void);\n"
                       "/* An inline one. */\nstatic inline int cla_b(void)\n{\n    return 1;\n}\n"
                       "struct cla_x {\n    int (*on_x)(void);\n};\nextern const int cla_n;\n"
                       "#define CLA_M(x) (x)\n"),
    "json/scan.c": '#include <string.h>\n#include "base/a.h"\n',
    "io/loop.c": "#include <unistd.h>\n#include <uv.h>\n",
    "main.c": '#include <lua.h>\n#include "base/a.h"\n',
}
BAD = {
    "base may not include": {"json/j.h": header("json/j.h", ""), "base/b.c": '#include "json/j.h"\n'},
    "gateway may not include": {"task/t.h": header("task/t.h", ""), "gateway/g.c": '#include "task/t.h"\n'},
    "may not use lua": {"gateway/g.c": "#include <lua.h>\n"},
    "may not use uv": {"http/h.c": "#include <uv.h>\n"},
    "may not use llhttp": {"gateway/g.c": "#include <llhttp.h>\n"},
    "no known family": {"io/i.c": "#include <ev.h>\n"},
    "is pure": {"http/h.c": "#include <sys/socket.h>\n"},
    'as "layer/file.h"': {"base/b.c": '#include "a.h"\n'},
    "is not there": {"base/b.c": '#include "base/none.h"\n'},
    "no layer is called": {"misc/m.c": ""},
    "guard should be": {"base/b.h": "/* What. */\n#pragma once\n"},
    "no contract comment": {"base/b.h": header("base/b.h", "/* Far away. */\n\nint cla_b(void);\n")},
    "no contract comment: void": {"base/b.h": header(
        "base/b.h", "/* One. */\nint cla_b(void);\nvoid cla_c(\n    int c);\n")},
    "opens with a comment": {"base/b.h": header("base/b.h", "")[len("/* What. */\n"):]},
    "include cycle": {"base/b.h": header("base/b.h", '#include "base/c.h"\n'),
                      "base/c.h": header("base/c.h", '#include "base/b.h"\n')},
}


def findings_of(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            file = Path(folder, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return check_tree(Path(folder))[0]


def self_test():
    wrong = [f"a good tree is refused: {f}" for f in findings_of(GOOD)]
    for rule, files in BAD.items():
        findings = findings_of(GOOD | files)
        if len(findings) != 1 or rule not in findings[0]:
            wrong.append(f"'{rule}' is not the one finding, but {findings}")
    print("\n".join(wrong) or f"{len(BAD)} bad trees are refused")
    return bool(wrong)


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent / "src"
    findings, headers = check_tree(root)
    print("\n".join(findings) or f"layers: {headers} headers and their includes are in order")
    return bool(findings) or headers == 0


sys.exit(main(sys.argv[1:]))
