#!/usr/bin/env python3
"""Counts the tests in a runner's log.

usage: tally.py KIND LOG EXIT_CODE     KIND: ctest (verbose; cmocka inside), busted, node or plain
Prints "PASSED FAILED SKIPPED", then one line for each failed test and what the log says of them. A
runner that ran nothing, or ended with an error that none of its tests explains, is one failure.
       tally.py --self-test
"""
import re
import sys


def total(pattern, text):
    return sum(int(n) for n in re.findall(pattern, text, re.M))


def count_ctest(text):
    """Each cmocka test counts, and each other program as one test."""
    passed, failed = 0, []
    ok = re.findall(r"^(\d+): \[ +OK \] (.*)", text, re.M)
    bad = set(re.findall(r"^(\d+): \[ +FAILED +\] (\w+)$", text, re.M))
    for number, program, end in re.findall(r"Test +#(\d+): (\S+) [. ]*(\**\w[^\d\n]*)", text):
        inside = sum(n == number for n, _ in ok)
        wrong = sorted(f"{program}: {name}" for n, name in bad if n == number)
        if end.startswith("Passed"):
            passed += inside or 1
        else:
            passed += inside
            failed += wrong or [f"{program}: {end.strip(' *')}"]
    return passed, failed, 0


def count_busted(text):
    failed = re.findall(r"^(?:Failure|Error) (?:→|->) (.*)", text, re.M)
    errors = total(r"(\d+) failures? /", text) + total(r"(\d+) errors? /", text)
    failed += ["a spec"] * (errors - len(failed))
    return total(r"^(\d+) success(?:es)? /", text), failed[:errors], total(r"(\d+) pending", text)


def count_node(text):
    bad = total(r"^[ℹ#] fail (\d+)$", text) + total(r"^[ℹ#] cancelled (\d+)$", text)
    before_summary = re.split(r"^✖ failing tests:", text, flags=re.M)[0]
    failed = [name for name in re.findall(r"^ *✖ (.*?)(?: \([\d.]+ms\))?$", before_summary, re.M)][:bad]
    failed += ["a test"] * (bad - len(failed))
    return total(r"^[ℹ#] pass (\d+)$", text), failed, total(r"^[ℹ#] skipped (\d+)$", text)


def count_plain(text):
    """The runner's own lines "N passed, N failed"."""
    line = r"^(?:\w+: )?%s passed, %s failed"
    bad = total(line % (r"\d+", r"(\d+)"), text)
    failed = re.findall(r"^FAILED (.*)", text, re.M)[:bad]
    return (total(line % (r"(\d+)", r"\d+"), text), failed + ["a case"] * (bad - len(failed)),
            total(r"failed, (\d+) skipped", text))


COUNTERS = {"ctest": count_ctest, "busted": count_busted, "node": count_node, "plain": count_plain}


def tally(kind, text, exit_code):
    passed, failed, skipped = COUNTERS[kind](re.sub(r"\x1b\[[\d;]*m", "", text))
    if exit_code != 0 and not failed:
        failed = [f"the runner ended with {exit_code}"]
    if not passed and not failed and not skipped:
        failed = ["the runner ran no test"]
    return passed, failed, skipped


def excerpt(kind, text):
    """What the log says of the failures: of each failed program, or in other logs the end."""
    if kind != "ctest":
        return text.splitlines()[-40:]
    numbers = re.findall(r"Test +#(\d+): \S+ [. ]*\*\*\*", text)
    return [line for n in numbers for line in re.findall(rf"^{n}: .*", text, re.M)[-20:]]


CTEST = """1: [       OK ] a
1: [       OK ] b
1/3 Test #1: unit/base/test_buf ..............   Passed    0.00 sec
2: [  FAILED  ] c
2: [       OK ] d
2: [  FAILED  ] 1 test(s), listed below:
2: [  FAILED  ] c
2/3 Test #2: unit/base/test_log ..............***Failed    0.00 sec
3: [       OK ] e
3/3 Test #3: unit/base/test_mem ..............***Exception: SegFault  0.1 sec
4/4 Test #4: tree/layers .....................   Passed    0.1 sec
"""
NODE = "✔ a (1.2ms)\n  ✖ b (3ms)\nℹ tests 3\nℹ pass 2\nℹ fail 1\nℹ cancelled 0\nℹ skipped 1\n✖ failing tests:\n✖ b (3ms)\n"
BUSTED = "●●◼\n3 successes / 1 failure / 1 error / 1 pending : 0.1 seconds\n\nFailure → a.lua @ 3\nit breaks\n"
EXAMPLES = [
    (("ctest", CTEST, 8), (5, ["unit/base/test_log: c", "unit/base/test_mem: Exception: SegFault"], 0)),
    (("node", NODE, 1), (2, ["b"], 1)),
    (("busted", BUSTED, 1), (3, ["a.lua @ 3", "a spec"], 1)),
    (("busted", "3 successes / 0 failures / 0 errors / 0 pending : 0.1 seconds\n", 0), (3, [], 0)),
    (("plain", "FAILED x: y\n7 passed, 1 failed\n2 passed, 0 failed\n", 1), (9, ["x: y"], 0)),
    (("plain", "0 passed, 0 failed, 2 skipped\n", 0), (0, [], 2)),
    (("plain", "5 passed, 0 failed\n", 139), (5, ["the runner ended with 139"], 0)),
    (("node", "", 0), (0, ["the runner ran no test"], 0)),
]


def self_test():
    wrong = [f"{call[0]}: {tally(*call)}, not {expected}" for call, expected in EXAMPLES if tally(*call) != expected]
    print("\n".join(wrong) or f"{len(EXAMPLES)} logs are counted right")
    return bool(wrong)


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    kind, log, exit_code = arguments
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read()
    passed, failed, skipped = tally(kind, text, int(exit_code))
    print(passed, len(failed), skipped)
    if failed:
        print("\n".join(failed + [f"| {line}" for line in excerpt(kind, text)] + [f"see {log}"]))
    return 0


sys.exit(main(sys.argv[1:]))
