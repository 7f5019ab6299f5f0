"""Tests of tests/coco_guest/run itself: what it brings back, and that it ends whatever happens."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
RUN = HERE / "run"
PATIENCE = 240  # seconds: a hang ends the test, not a slow machine


def run(*words, **options):
    return subprocess.run([RUN, *words], capture_output=True, text=True, timeout=PATIENCE, **options)


def children_named(name, parent):
    """The processes called `name` that `parent` started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text()
        except (OSError, ValueError):
            continue
        pid, rest = fields.split(" (", 1)
        command, rest = rest.rsplit(") ", 1)
        if name.startswith(command) and int(rest.split()[1]) == parent:
            found.append(int(pid))
    return found


def has_ended(pid):
    try:
        return pathlib.Path("/proc", str(pid), "stat").read_text().rsplit(") ", 1)[1][0] == "Z"
    except OSError:
        return True


# Run in each of two guests: a message of more than a small packet goes from 2 to 1.
TALK = """
import os, socket, time
if os.environ["CLEARFRAME_GUEST"] == "1":
    with socket.create_server((os.environ["CLEARFRAME_GUEST_ADDRESS"], 4000)) as server:
        channel, (address, port) = server.accept()
        print(len(channel.makefile("rb").read()), "bytes from", address)
else:
    while True:  # until guest 1 listens, or the time limit comes
        try:
            channel = socket.create_connection((os.environ["CLEARFRAME_PEER_ADDRESS"], 4000), 1)
            break
        except OSError:
            time.sleep(0.1)
    channel.sendall(bytes(100000))
    channel.close()
"""


class Run(unittest.TestCase):
    def test_status_streams_and_results(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("--result", "made here", "--", "bash", "-c",
                       "printf 'a\\0b'; echo said >&2; echo 'it'\\''s' > 'made here'; pwd > /tmp/x; "
                       "cat /proc/cmdline; exit 7", cwd=folder)
            self.assertEqual(done.returncode, 7, done.stderr)
            self.assertTrue(done.stdout.startswith("a\0b"), done.stdout)
            self.assertIn(" coco_emulate", done.stdout)
            self.assertEqual(done.stderr, "said\n")
            self.assertEqual(pathlib.Path(folder, "made here").read_text(), "it's\n")

    def test_a_missing_result_is_a_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("--plain", "--result", "none", "--", "true", cwd=folder)
            self.assertEqual(done.returncode, 125, done.stderr)
            self.assertIn("left no none", done.stderr)
            self.assertEqual(os.listdir(folder), [])

    def test_the_host_stays_as_it_was(self):
        with tempfile.TemporaryDirectory() as folder:
            kept = pathlib.Path(folder, "kept")
            kept.write_text("before")
            done = run("--plain", "--", "bash", "-c", "echo after > kept; echo > new; cat kept",
                       cwd=folder)
            self.assertEqual((done.returncode, done.stdout), (0, "after\n"), done.stderr)
            self.assertEqual(kept.read_text(), "before")
            self.assertEqual(os.listdir(folder), ["kept"])

    def test_time_limit(self):
        done = run("--plain", "--time-limit", "5", "--", "sleep", "infinity")
        self.assertEqual(done.returncode, 124, done.stderr)
        self.assertIn("time limit of 5 s", done.stderr)

    def test_a_kernel_that_panics(self):
        done = run("--plain", "--", "bash", "-c", "echo c > /proc/sysrq-trigger; sleep infinity")
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn("sysrq triggered crash", done.stderr)

    def test_a_kernel_that_warns(self):
        lines = ["WARNING: x.c:1 at somewhere+0x1/0x2, CPU#0", "Call Trace:", " <TASK>",
                 "---[ end trace 0000000000000000 ]---", "all is well"]
        done = run("--plain", "--", "bash", "-c",
                   "".join(f"echo '<4>{line}' >/dev/kmsg;" for line in lines))
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertIn("the kernel of guest 1 warned of this: WARNING: x.c:1 at somewhere", done.stderr)
        self.assertRegex(done.stderr, r"\] WARNING: x.c.*\n.*Call Trace:\n.*<TASK>\n")
        self.assertNotIn("all is well", done.stderr)

    def test_qemu_ends_with_run_however_that_ends(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            with self.subTest(number.name), tempfile.TemporaryDirectory() as folder:
                with subprocess.Popen([RUN, "--plain", "--", "bash", "-c", "echo up; sleep infinity"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      env={**os.environ, "TMPDIR": folder}) as started:
                    self.assertEqual(started.stdout.readline(), b"up\n")
                    guests = children_named("qemu-system-x86_64", started.pid)
                    self.assertEqual(len(guests), 1)
                    started.send_signal(number)
                    self.assertEqual(started.wait(PATIENCE),
                                     -number if number == signal.SIGKILL else 128 + number)
                deadline = time.monotonic() + PATIENCE
                while not has_ended(guests[0]) and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertTrue(has_ended(guests[0]))
                if number != signal.SIGKILL:
                    self.assertEqual(os.listdir(folder), [])

    def test_two_guests_reach_each_other(self):
        done = run("--guests", "2", "--", "bash", "-c",
                   'python3 -c "$0" && tests/coco_guest/soft_roce && '
                   "cat /sys/class/infiniband/rxe0/ports/1/state; exit $((CLEARFRAME_GUEST - 1))",
                   TALK, cwd=HERE.parent.parent)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(sorted(done.stdout.splitlines()),
                         ["1: 100000 bytes from 10.77.0.2", "1: 4: ACTIVE", "2: 4: ACTIVE"])

    def test_as_an_ordinary_user(self):
        image = subprocess.run([HERE / "build_kernel"], capture_output=True, text=True, check=True)
        kernel = pathlib.Path(image.stdout.strip())
        with tempfile.TemporaryDirectory() as folder:
            cache = pathlib.Path(folder, "cache")
            cache.mkdir()
            for file in (kernel, *kernel.parent.glob("linux-source-*.deb")):
                shutil.copy(file, cache)
            other = {}
            if os.geteuid() == 0:
                os.chmod(folder, 0o755)
                os.chown(cache, 65534, 65534)
                other = {"user": 65534, "group": 65534, "extra_groups": []}
            done = run("--plain", "--", "id", "-u", cwd="/", **other,
                       env={"PATH": os.environ["PATH"], "CLEARFRAME_GUEST_CACHE": str(cache)})
            self.assertEqual((done.returncode, done.stdout), (0, "0\n"), done.stderr)

    def test_wrong_arguments(self):
        for words in ((), ("true",), ("--guests", "3", "--", "true"), ("--", ), ("--nonsense", "--", "x")):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("usage: tests/coco_guest/run", done.stderr)


if __name__ == "__main__":
    unittest.main()
