#!/usr/bin/env python3
"""Checks the size of files and functions, and prints their median and 95th percentile.

A file has at most 600 lines, a function at most 60. A longer function states its reason in a
comment directly above it: "size: a table-driven scanner: one case a byte class".

usage: sizes.py [FOLDER]      exit 1 and one line a finding if something is too long
       sizes.py --self-test   each rule refuses a tree made to break it
"""
import re
import sys
import tempfile
from pathlib import Path

FILE_LINES = 600
FUNCTION_LINES = 60
REASON = re.compile(r"\bsize: *\w+.{8}", re.S)
FOLDERS = ["src", "lua", "tests", "examples"]

LUA_TOKEN = re.compile(r"""--\[(=*)\[.*?\]\1\] | --[^\n]* | \[(=*)\[.*?\]\2\] |
    "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | \b(?:function|if|do|repeat|end|until)\b""", re.X | re.S)


def c_functions(text):
    """Yields (first line, lines) of each function: its body's braces stand in column 0."""
    lines = text.split("\n")
    open_at = None
    for number, line in enumerate(lines):
        if line == "{":
            open_at = number
            while open_at > 0 and lines[open_at - 1].strip() and not lines[open_at - 1].endswith(
                    (";", "}", "*/")) and not lines[open_at - 1].startswith("#"):
                open_at -= 1
        elif line == "}" and open_at is not None:
            yield open_at, number - open_at + 1
            open_at = None


def lua_functions(text):
    """Yields (first line, lines) of each function, nested ones included."""
    opened = []
    for match in LUA_TOKEN.finditer(text):
        word, line = match[0], text.count("\n", 0, match.start())
        if word in ("function", "if", "do", "repeat"):
            opened.append((word, line))
        elif word in ("end", "until") and opened:
            kind, first = opened.pop()
            if kind == "function":
                yield first, line - first + 1


def reason_above(lines, first):
    comment = []
    for line in reversed(lines[:first]):
        if not line.strip():
            break
        comment.insert(0, line)
        if line.lstrip().startswith("/*"):
            break
        if not line.lstrip().startswith(("*", "--")):
            break
    return REASON.search("\n".join(comment))


def check_file(path, text):
    lines = text.split("\n")
    if len(lines) - 1 > FILE_LINES:
        yield None, f"{path}: {len(lines) - 1} lines; at most {FILE_LINES}"
    if path.name.endswith("_spec.lua"):
        return  # describe and it are functions only by syntax
    functions = lua_functions if path.suffix == ".lua" else c_functions
    for first, size in functions(text):
        too_long = size > FUNCTION_LINES and not reason_above(lines, first)
        yield size, too_long and f"{path}:{first + 1}: a function of {size} lines; at most {FUNCTION_LINES}"


def sources(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".lua") and "node_modules" not in path.parts:
                yield path


def percentile(values, share):
    return sorted(values)[int(share * (len(values) - 1))] if values else 0


def check_tree(root):
    findings, files, functions = [], [], []
    for path in sources(root):
        text = path.read_text(encoding="utf-8")
        files.append(text.count("\n"))
        for size, finding in check_file(path.relative_to(root), text):
            functions += [size] if size else []
            findings += [finding] if finding else []
    return findings, files, functions


def describe(what, sizes):
    return (f"{len(sizes)} {what}: median {percentile(sizes, 0.5)} lines, "
            f"95% at most {percentile(sizes, 0.95)}, longest {max(sizes, default=0)}")


def c_function(lines, above=""):
    return f"int a;\n\n{above}static int f(int a,\n    int b)\n{{\n" + "    a++;\n" * (lines - 4) + "}\n"


def lua_function(lines):
    return "local s = 'function'\nfunction M.f()\n" + "    if x then y() end\n" * (lines - 2) + "end\n"


GOOD = {
    "src/a.c": c_function(60) * 2,
    "src/b.c": c_function(200, "/* Scans.\n * size: a table-driven scanner, one case a class. */\n"),
    "src/c.c": "const int table[] = {\n" + "    1,\n" * 500 + "};\n",
    "lua/a.lua": lua_function(60),
    "tests/spec/a_spec.lua": lua_function(300),
}
BAD = {
    "601 lines; at most 600": {"src/x.c": "int a;\n" * 601},
    "602 lines; at most 600": {"lua/x.lua": "x = 1\n" * 602},
    "x.c:3: a function of 61 lines": {"src/x.c": c_function(61)},
    "x.c:4: a function of 61 lines": {"src/x.c": c_function(61, "/* Of no small size: */\n")},
    "x.lua:2: a function of 61 lines": {"lua/x.lua": lua_function(61)},
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
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    findings, files, functions = check_tree(root)
    print(describe("files", files), describe("functions", functions), *findings, sep="\n")
    return bool(findings) or not files


sys.exit(main(sys.argv[1:]))
