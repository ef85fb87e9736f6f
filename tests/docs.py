#!/usr/bin/env python3
"""Checks README.md and docs/ against the binary and the sources.

usage: docs.py [CANCELA]       exit 1 and one line a finding; CANCELA is the binary, else $CANCELA_BIN
       docs.py --self-test     each rule refuses a tree made to break it

Code blocks say by the words behind ``` what is done with them:
  lua            is parsed
  lua app        is loaded with 'cancela check'
  lua spec       is run with 'cancela test', with the app above it as app.lua
  lua settings   is read with 'cancela config --config'
  console        its '$' lines are run (from the root of the tree, with an app served at
                 localhost:3000: the page's, or examples/hello) and must print what follows
  text           is only shown
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)
KINDS = {"lua", "lua app", "lua spec", "lua settings", "console", "text"}
SECONDS = 60


class Tree:
    """What is checked: the pages, and the sources they speak of."""

    def __init__(self, root, binary):
        self.root, self.binary = root, binary
        self.pages = {p.relative_to(root): p.read_text(encoding="utf-8")
                      for p in [root / "README.md", *sorted((root / "docs").glob("*.md"))]}

    def page(self, name):
        return self.pages.get(Path("docs", name), "")

    def blocks(self):
        """Yields (page, line, kind, text)."""
        for page, text in self.pages.items():
            for match in BLOCK.finditer(text):
                yield page, text.count("\n", 0, match.start()) + 1, match[1].strip(), match[2]

    def run(self, *command, cwd=None):
        result = subprocess.run(command, cwd=cwd or self.root, capture_output=True, text=True, timeout=SECONDS,
                                stdin=subprocess.DEVNULL, env=clean_environment(self.binary))
        return result.returncode, result.stdout, result.stderr


def clean_environment(binary):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CANCELA_")}
    return kept | {"PATH": f"{Path(binary).parent}:{os.environ['PATH']}"}


# --- Tables. ---

def check_settings(tree):
    with tempfile.TemporaryDirectory() as folder:
        printed = tree.run(tree.binary, "config", cwd=folder)[1]
    settings = dict(re.findall(r'^  (\w+) = "?(.*?)"?,$', printed, re.M))
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section(tree.page("operations.md"), "Settings"), re.M))
    if not settings:
        yield "docs/operations.md: 'cancela config' prints no settings"
    for name, value in settings.items():
        expected = f"`{value}`" if value else "none"
        if rows.get(name) != expected:
            yield f"docs/operations.md: the default of {name} is {expected}, not {rows.get(name, 'in the table')}"
    for name in rows.keys() - settings.keys():
        yield f"docs/operations.md: there is no setting {name}"


def section(text, title):
    match = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    return match[1] if match else ""


def exported(source, table):
    return re.findall(rf"^(?:function )?{table}[.:](\w+)(?: *=|\()", source, re.M)


def annotated(source):
    """Yields (class, field) of the annotations of what scripts are given."""
    for name, body in re.findall(r"^---@class cancela\.(Call|Token|Registration|Client|Socket|log|json|Reason|Task|Group|Channel|Semaphore|Mutex|Interval|Stats|Histogram|Bucket)\b.*\n((?:---.*\n)*)",
                                 source, re.M):
        yield from ((name, field) for field in re.findall(r"^---@field (\w+)", body, re.M))


def check_script_api(tree):
    guide = tree.page("script-guide.md")
    source = (tree.root / "lua/cancela/init.lua").read_text(encoding="utf-8")
    names = [f"cancela.{name}" for name in exported(source, "cancela")]
    testing = (tree.root / "lua/cancela/testing/init.lua").read_text(encoding="utf-8")
    names += [f"testing.{name}" for name in exported(testing, "testing")]
    names += [f"app:{name}" for name in exported(testing, "App") if not name.startswith("__")]
    spelled = {"Call": "call", "Client": "client", "Socket": "socket",
                "Token": "token", "Registration": "registration", "json": "cancela.json", "Task": "task",
                "Group": "group", "Channel": "channel", "Semaphore": "semaphore", "Mutex": "mutex", "Interval": "interval"}
    for kind, field in annotated(source):
        if kind in spelled:
            names.append((f"`{spelled[kind]}.{field}", f"`{spelled[kind]}:{field}("))
        elif kind == "Stats":
            names.append(f"| `{field}` |")
        elif kind == "log":
            names.append((f"cancela.log.{field}", f"/ {field}"))
        else:
            names.append(f"{field} =" if field == "kind" else f"`{field}`")
    counters = set(re.findall(r"^    X\((\w+),", (tree.root / "src/task/sched.h").read_text(encoding="utf-8"), re.M))
    topics = (tree.root / "src/gateway/topics.h").read_text(encoding="utf-8")
    counters |= set(re.findall(r"^    X\((\w+),", topics, re.M))
    names += [f"| `{name}` |" for name in counters]
    for name in counters - {field for kind, field in annotated(source) if kind == "Stats"}:
        yield f"lua/cancela/init.lua: cancela.Stats lacks the counter {name}"
    if len(names) < 20:
        yield "docs/script-guide.md: lua/cancela/*.lua exports next to nothing"
    for name in names:
        ways = name if isinstance(name, tuple) else (name,)
        if not any(way in guide for way in ways):
            yield f"docs/script-guide.md: {ways[0]} is missing"


def check_awaits(tree):
    """Every await x:verb() has an operation x:verb_op(), and says what a cancel loses."""
    source = (tree.root / "lua/cancela/init.lua").read_text(encoding="utf-8")
    awaits = 0
    for name, body in re.findall(r"^---@class cancela\.(\w+)\b.*\n((?:---.*\n|\n(?=---@field))*)", source, re.M):
        fields = dict(re.findall(r"^---@field (\w+)\?? (.*\n(?:--- .*\n)*)", body, re.M))
        for field, text in fields.items():
            if not text.startswith("fun(") or not re.search(r"\bawaits\b", text, re.I):
                continue
            awaits += 1
            if f"{field}_op" not in fields:
                yield f"lua/cancela/init.lua: {name}:{field}() awaits, and there is no {field}_op"
            if "Cancel safe: " not in text:
                yield f"lua/cancela/init.lua: {name}:{field}() awaits, and does not say if it is cancel safe"
    if awaits < 10:
        yield "lua/cancela/init.lua: next to nothing awaits"


def check_options(tree):
    """The options of app and procedure, as the Lua half checks them."""
    source = (tree.root / "lua/cancela/app.lua").read_text(encoding="utf-8")
    guide = tree.page("script-guide.md")
    for table in re.findall(r"^local (\w+)_options = \{\n(.*?)^\}", source, re.M | re.S):
        for name in re.findall(r"^  (\w+) =", table[1], re.M):
            if f"| `{name}` |" not in guide:
                yield f"docs/script-guide.md: the option {name} of cancela.{table[0]} is missing"


def check_codes(tree):
    source = (tree.root / "src/base/error.h").read_text(encoding="utf-8")
    rows = re.findall(r'^    X\(\w+, \d+, "(\w+)", (\d+), (-?\d+), "(.*?)"\)', source, re.M)
    guide = section(tree.page("script-guide.md"), "Typed errors")
    if len(rows) < 10:
        yield "src/base/error.h: the table of codes is not where it was"
    for name, http, number, text in rows:
        row = rf"^\| `{name}` \| {http}( \(.*?\))? \| {number}( \(.*?\))? \| {re.escape(text)} \|$"
        if name != "ok" and not re.search(row, guide, re.M):
            yield f"docs/script-guide.md: no row says {name}, {http}, {number}, {text}"
    for number in re.findall(r"^#define CLA_JSONRPC_\w+ \((-\d+)\)", source, re.M):
        if number not in tree.page("protocols.md"):
            yield f"docs/protocols.md: {number} is missing"


def check_reasons(tree):
    source = (tree.root / "src/cancel/reason.h").read_text(encoding="utf-8")
    for name in re.findall(r'^    X\(\w+, "(\w+)", \w+\)', source, re.M):
        if name != "none" and f"`{name}`" not in tree.page("cancellation.md"):
            yield f"docs/cancellation.md: the reason {name} is missing"


def check_exit_codes(tree):
    source = (tree.root / "src/cli/cli.h").read_text(encoding="utf-8")
    man = (tree.root / "docs/cancela.1").read_text(encoding="utf-8")
    for number in re.findall(r"^    CLA_EXIT_\w+ = (\d+)", source, re.M):
        if f"| {number} |" not in section(tree.page("operations.md"), "Exit codes"):
            yield f"docs/operations.md: the exit code {number} is missing"
        if f".B {number}\n" not in man:
            yield f"docs/cancela.1: the exit code {number} is missing"


# --- References. ---

def anchors(text):
    titles = re.findall(r"^#+ (.*)$", re.sub(BLOCK, "", text), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def check_links(tree):
    for page, text in tree.pages.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(BLOCK, "", text)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (tree.root / page).parent / path if path else tree.root / page
            if not file.exists():
                yield f"{page}: the link {target} leads nowhere"
            elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
                yield f"{page}: the link {target} names no heading"


def check_functions(tree):
    """Mentions like `gateway/conn.c:on_read`, and of headers like `io/loop.h`."""
    for page, text in tree.pages.items():
        for name, function in re.findall(r"`(?!tests/)((?:[a-z]+/)+[a-z_]+\.[ch])(?::(\w+))?`", text):
            file = tree.root / "src" / name
            if not file.is_file():
                yield f"{page}: there is no src/{name}"
            elif function and not re.search(rf"\b{function}\(", file.read_text(encoding="utf-8")):
                yield f"{page}: {name} has no {function}"


# --- The cases of cancellation, and the tests that prove them. ---

CASES = 92
OWNERS = {"upstream calls", "streaming", "reload", "binary frames"}


def holds_test(source, suffix, name):
    """Whether a test file has the test 'name', as it is written there, and runs it."""
    if suffix == ".c":
        return re.search(rf"^static void {name}\(", source, re.M) and re.search(rf"(TEST|unit_test)\w*\({name}\b", source)
    if suffix == ".py":
        return re.search(rf'^ +"{name}": ', source, re.M)
    escaped = name.replace("'", "\\'")
    return any(f"{kind}({quote}{title}{quote}" in source
               for kind in ["it", "test", "describe"] for quote in "'\"`" for title in {name, escaped})


def check_case(tree, number, proof):
    tests = re.findall(r"`(tests/[^`]+)`: `([^`]+)`", proof)
    owner = re.search(r"\*\*owned by\*\*: ([a-z ]+?)(?: \(|$)", proof)
    if not tests and not owner and not re.search(r"\*\*open\*\*: \w", proof):
        yield f"case {number} has no test, and does not say what it waits for"
    if owner and owner[1] not in OWNERS:
        yield f"case {number}: nobody is called {owner[1]}"
    for name, title in tests:
        file = tree.root / name
        if not file.is_file():
            yield f"case {number}: there is no {name}"
        elif not holds_test(file.read_text(encoding="utf-8"), file.suffix, title):
            yield f"case {number}: {name} has no test '{title}'"


def check_cases(tree):
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| (.*) \|$", tree.page("cancellation-cases.md"), re.M)
    if [int(number) for number, _ in rows] != list(range(1, CASES + 1)):
        yield f"docs/cancellation-cases.md: its cases are not 1 to {CASES}, each once and in order"
    for number, proof in rows:
        yield from (f"docs/cancellation-cases.md: {finding}" for finding in check_case(tree, number, proof))


# --- Code blocks. ---

def check_lua(tree, text):
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        code, _, said = tree.run("luac5.4", "-p", file.name)
    return [] if code == 0 else [said.strip().splitlines()[-1]]


def check_file(tree, name, text, *command):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_text(text, encoding="utf-8")
        code, out, said = tree.run(tree.binary, *command, cwd=folder)
    return [] if code == 0 else [(said or out).strip().splitlines()[0]]


def check_spec(tree, app, text):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.lua").write_text(app or "", encoding="utf-8")
        Path(folder, "app_spec.lua").write_text(text, encoding="utf-8")
        code, out, said = tree.run(tree.binary, "test", "app_spec.lua", cwd=folder)
    wanted = len(re.findall(r"^ *it\(", text, re.M))
    if code == 0 and re.search(rf"^{wanted} success", out, re.M):
        return []
    return (said + out).strip().splitlines()[-3:]


def check_code(tree):
    app = {}
    for page, line, kind, text in tree.blocks():
        findings = []
        if kind not in KINDS:
            findings = [f"'{kind}' is no kind of block"]
        elif kind == "lua":
            findings = check_lua(tree, text)
            if re.search(r"^return cancela\.app|^describe\(", text, re.M):
                findings.append("mark a whole app 'lua app', a spec 'lua spec'")
        elif kind == "lua app":
            app[page] = text
            findings = check_file(tree, "app.lua", text, "check", "app.lua")
        elif kind == "lua spec":
            findings = check_spec(tree, app.get(page), text)
        elif kind == "lua settings":
            findings = check_file(tree, "cancela.lua", text, "config", "--config", "cancela.lua")
        yield from (f"{page}:{line}: {finding}" for finding in findings)


# --- Sessions. ---

@contextlib.contextmanager
def served(tree, app):
    """Serves 'app' (text; None: examples/hello) and gives the address."""
    with tempfile.TemporaryDirectory() as folder:
        path = tree.root / "examples/hello/app.lua"
        if app is not None:
            path = Path(folder, "app.lua")
            path.write_text(app, encoding="utf-8")
        server = subprocess.Popen([tree.binary, "run", str(path), "--listen", "127.0.0.1:0"], cwd=folder,
                                  stderr=subprocess.PIPE, text=True, env=clean_environment(tree.binary))
        try:
            address = re.search(r"address=(\S+)", server.stderr.readline())
            yield address[1].replace("127.0.0.1", "localhost") if address else None
        finally:
            server.terminate()
            server.communicate(timeout=SECONDS)


def steady_line(line):
    """Lua tables have no order: members of objects are sorted."""
    try:
        return json.dumps(json.loads(line), sort_keys=True) if line.startswith(("{", "[")) else line
    except ValueError:
        return line


def steady(text):
    """Makes equal what may differ from run to run."""
    text = re.sub(r"^Date: .*$", "Date: …", text.replace("\r\n", "\n"), flags=re.M)
    return "\n".join(map(steady_line, text.strip().splitlines()))


def check_console(tree, address, text):
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.M):
        real = command.replace("curl ", "curl -sS ", 1).replace("localhost:3000", address)
        out = "".join(tree.run("bash", "-c", real)[1:])
        if steady(out) != steady(expected):
            yield f"'{command}' prints: {steady(out)[:300]}"


def check_sessions(tree):
    apps, sessions = {}, {}
    for page, line, kind, text in tree.blocks():
        if kind == "lua app" and page != Path("README.md"):
            apps.setdefault(page, text)
        elif kind == "console":
            sessions.setdefault(page, []).append((line, text))
    for page, blocks in sessions.items():
        with served(tree, apps.get(page)) as address:
            if address is None:
                yield f"{page}: its app cannot be served"
                continue
            for line, text in blocks:
                yield from (f"{page}:{line}: {finding}" for finding in check_console(tree, address, text))


RULES = [check_settings, check_script_api, check_awaits, check_options, check_codes, check_reasons, check_exit_codes, check_links,
         check_functions, check_cases, check_code, check_sessions]


def findings_of(root, binary, rules):
    tree = Tree(root, binary)
    return [finding for rule in rules for finding in rule(tree)]


# Rule: a change (file, what is there, what is put there) that it must refuse.
BREAKS = [
    (check_settings, "docs/operations.md", "| `grace` | `500ms` |", "| `grace` | `5s` |"),
    (check_settings, "docs/operations.md", "| `hosts` |", "| `hots` |"),
    (check_script_api, "docs/script-guide.md", "cancela.checkpoint()", "cancela.check()"),
    (check_script_api, "docs/script-guide.md", "`call.peer`", "`call.pair`"),
    (check_script_api, "docs/script-guide.md", "`channel:recv(", "`channel:receive("),
    (check_script_api, "docs/script-guide.md", "| `late_errors` |", "| `errors` |"),
    (check_script_api, "docs/script-guide.md", "| `late_cancels` |", "| `late` |"),
    (check_script_api, "lua/cancela/init.lua", "---@field late_errors", "---@field later_errors"),
    (check_awaits, "lua/cancela/init.lua", "---@field lock_op", "---@field locking"),
    (check_awaits, "lua/cancela/init.lua", "Cancel safe: a tick", "A tick"),
    (check_options, "docs/script-guide.md", "| `nulls` |", "| `null` |"),
    (check_codes, "docs/script-guide.md", "-32005", "-32006"),
    (check_codes, "docs/protocols.md", "-32802", "-32801"),
    (check_reasons, "docs/cancellation.md", "`slow_consumer`", "`slow`"),
    (check_exit_codes, "docs/operations.md", "| 130 |", "| 131 |"),
    (check_links, "README.md", "](docs/protocols.md)", "](docs/protocol.md)"),
    (check_links, "docs/operations.md", "protocols.md#http)", "protocols.md#https)"),
    (check_functions, "docs/architecture.md", "gateway/worker.c:turn", "gateway/worker.c:spin"),
    (check_cases, "docs/cancellation-cases.md", "| 92 |", "| 91 |"),
    (check_cases, "docs/cancellation-cases.md", "tests/e2e/cases.test.mjs", "tests/e2e/case.test.mjs"),
    (check_cases, "docs/cancellation-cases.md", "`case 6: leaves a retry", "`case 6: leaves no retry"),
    (check_cases, "docs/cancellation-cases.md", "`second_cancel_changes_nothing`", "`second_cancel_changes`"),
    (check_cases, "docs/cancellation-cases.md", "`a client that only ended", "`a client that ended"),
    (check_cases, "docs/cancellation-cases.md", "| **owned by**: upstream calls |", "| upstream calls |"),
    (check_cases, "docs/cancellation-cases.md", "**owned by**: upstream calls", "**owned by**: somebody"),
    (check_cases, "tests/unit/task/test_vm.c", "TEST(case_88_", "TEST(case_89_"),
    (check_code, "docs/cancellation.md", "```lua\nwhile more() do", "```lua\nwhile more() od"),
    (check_code, "docs/cancellation.md", "```lua spec", "```lua test"),
    (check_code, "docs/cancellation.md", 'assert.equal("committed"', 'assert.equal("done"'),
    (check_code, "docs/script-guide.md", "read_only = true,\n      timeout", "readonly = true,\n      timeout"),
    (check_code, "docs/operations.md", 'call_timeout = "10s"', 'call_timout = "10s"'),
    (check_sessions, "docs/protocols.md", '"result":19}', '"result":20}'),
]


def copy_tree(root, folder):
    for name in ["README.md", "docs", "lua", "src", "examples", "tests", "scripts"]:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("node_modules"))
        else:
            shutil.copy(source, folder / name)


def self_test(binary):
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        copy_tree(ROOT, folder)
        for rule, name, what, instead in BREAKS:
            good = (folder / name).read_text(encoding="utf-8")
            (folder / name).write_text(good.replace(what, instead), encoding="utf-8")
            if what not in good:
                wrong.append(f"{rule.__name__}: {name} does not hold '{what}'")
            elif not findings_of(folder, binary, [rule]):
                wrong.append(f"{rule.__name__}: '{instead}' in {name} is not refused")
            (folder / name).write_text(good, encoding="utf-8")
    print("\n".join(wrong) or f"{len(BREAKS)} wrong pages are refused")
    return bool(wrong)


def main(arguments):
    testing = "--self-test" in arguments
    rest = [a for a in arguments if a != "--self-test"]
    binary = rest[0] if rest else os.environ.get("CANCELA_BIN", "")
    if not os.access(binary, os.X_OK):
        print(f"docs: no binary at '{binary}': give it as the argument, or as CANCELA_BIN", file=sys.stderr)
        return 1
    for program in ["luac5.4", "curl", "bash"]:
        if not shutil.which(program):
            print(f"docs: {program} is not installed", file=sys.stderr)
            return 1
    binary = str(Path(binary).resolve())
    if testing:
        return self_test(binary)
    findings = findings_of(ROOT, binary, RULES)
    print("\n".join(findings) or "docs: the pages agree with the binary and the sources")
    return bool(findings)


sys.exit(main(sys.argv[1:]))
