"""Reads what ctest left behind: report.py EXPECTED_SKIPS PART RESULTS.xml

Says on standard error which tests of PART failed, with their output, and which were skipped for
which reason; prints "PASSED FAILED SKIPPED" on standard output. A skip that no line of
EXPECTED_SKIPS expects is pointed out, and counts as a failure where the environment has CI=true.
"""

import fnmatch
import os
import re
import sys
import xml.etree.ElementTree

SHOWN = 100  # lines of a failed test's output


def expected_skips(path):
    """[(pattern of the test's name, pattern of the reason it gives)] of lines "NAME  REASON"."""
    patterns = []
    with open(path) as file:
        for line in file:
            words = line.split(maxsplit=1)
            if words and not line.startswith("#"):
                patterns.append((words[0], words[1].strip() if len(words) > 1 else "*"))
    return patterns


def reason_of(output):
    """What GTEST_SKIP() or unittest was told: the lines after "FILE:LINE: Skipped"."""
    found = re.search(r": Skipped\n(.*?)\n*(?:\n\n|\[  SKIPPED|\Z)", output, re.DOTALL)
    text = found[1] if found else output
    return " ".join(text.split()) or "says not why"


def main():
    expected = expected_skips(sys.argv[1])
    part, results = sys.argv[2:]
    strict = os.environ.get("CI") == "true"
    passed = failed = skipped = 0
    reasons = {}  # (is it expected, reason): tests

    def say(text):
        print(text, file=sys.stderr)

    for case in xml.etree.ElementTree.parse(results).getroot().iter("testcase"):
        name = case.get("name").split("  # ")[0]  # without the value of its parameter
        output = case.findtext("system-out") or ""
        skip = case.find("skipped")
        if case.get("status") == "run":
            passed += 1
        elif skip is not None and (skip.get("message") or "").startswith("SKIP_"):
            reason = reason_of(output)
            is_expected = any(fnmatch.fnmatchcase(f"{part}/{name}", name_pattern)
                              and fnmatch.fnmatchcase(reason, reason_pattern)
                              for name_pattern, reason_pattern in expected)
            reasons.setdefault((is_expected, reason), []).append(name)
        else:
            failed += 1
            failure = case.find("failure")
            why = (failure if failure is not None else skip if skip is not None else case).get("message")
            say(f"FAILED  {part}/{name}: {why or 'see below'}")
            for line in output.rstrip().splitlines()[-SHOWN:]:
                say(f"    {line}")

    for (is_expected, reason), names in sorted(reasons.items(), reverse=True):
        if is_expected or not strict:
            skipped += len(names)
        else:
            failed += len(names)
        verdict = ("skipped" if is_expected else "FAILED: skipped, and not expected"
                   if strict else "SKIPPED, AND NOT EXPECTED")
        say(f"{verdict}  {part}: {len(names)} for this reason: {reason}")
        say(f"    {', '.join(names)}")
    print(passed, failed, skipped)


if __name__ == "__main__":
    main()
