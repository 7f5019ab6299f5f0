"""Tests that report.py counts what ctest says, and lets no skip pass unseen."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

RESULTS = """<testsuite>
<testcase name="A.Passes" status="run"><system-out>fine</system-out></testcase>
<testcase name="A.Fails" status="fail"><failure message="Timeout"/><system-out>halt</system-out></testcase>
<testcase name="A.Heap/x  # GetParam() = 1" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>
<system-out>[ RUN      ] A.Heap/x
a_test.cpp:7: Skipped
no heap x here
at all

[  SKIPPED ] A.Heap/x (0 ms)
</system-out></testcase>
<testcase name="A.NotBuilt" status="notrun"><skipped message="Unable to find executable: a_test"/></testcase>
</testsuite>
"""


class Report(unittest.TestCase):
    def report(self, expected, ci):
        with tempfile.TemporaryDirectory() as folder:
            results, skips = pathlib.Path(folder, "results.xml"), pathlib.Path(folder, "skips.txt")
            results.write_text(RESULTS)
            skips.write_text("# comment\n\n" + expected)
            done = subprocess.run(
                [sys.executable, pathlib.Path(__file__).with_name("report.py"), skips, "part", results],
                env={**os.environ, "CI": ci}, capture_output=True, text=True, check=True)
            return done.stdout.split(), done.stderr

    def test_a_skip_that_is_expected(self):
        counts, said = self.report("*/A.Heap/*  no heap * at all\n", "true")
        self.assertEqual(counts, ["1", "2", "1"])
        self.assertIn("skipped  part: 1 for this reason: no heap x here at all\n    A.Heap/x\n", said)

    def test_a_skip_that_is_not(self):
        for expected in ("", "*/A.Heap/*  another reason\n", "tsan/A.Heap/*  no heap *\n"):
            self.assertEqual(self.report(expected, "true")[0], ["1", "3", "0"])
            counts, said = self.report(expected, "")
            self.assertEqual(counts, ["1", "2", "1"])
            self.assertIn("NOT EXPECTED", said)

    def test_failures_are_named_with_what_they_said(self):
        said = self.report("", "")[1]
        self.assertIn("FAILED  part/A.Fails: Timeout\n    halt\n", said)
        self.assertIn("FAILED  part/A.NotBuilt: Unable to find executable", said)


if __name__ == "__main__":
    unittest.main()
