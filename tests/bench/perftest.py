#!/usr/bin/env python3
"""Holds clearframe's frames against perftest's writes, side by side on one RDMA device.

    perftest.py PROGRAM [DEVICE ADDRESS]      (in the guest: rxe0, made if need be)

Interleaved, five times: ib_write_bw and clearframe send/recv (path zero-copy, nothing drawn or
verified) at 64 KiB, 1 MiB and a frame of 1920x1080; ib_write_lat and the one-way latency of a ring
of one slot at 64 KiB. Prints each pair and the median of the ratios, and writes perftest.json.
In tests/coco_guest: run --time-limit 1800 --result perftest.json -- tests/bench/perftest.py PROGRAM
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROUNDS = 5
PATIENCE = 120  # seconds
PAGE_AND_STAMP = 4096 + 16  # what travels of a frame beside its pixels
# name, frame size, slots, frames or writes
CASES = [("64 KiB", (128, 120), 32, 400), ("1 MiB", (512, 510), 16, 40),
         ("1920x1080", (1920, 1080), 8, 10)]


class Failed(Exception):
    """One measurement could not be made."""


def perftest(tool, device, address, size, count):
    """What `tool` prints on its client's side."""
    words = [tool, "-d", device, "-R", "-F", "-s", str(size), "-n", str(count)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):  # until the server listens
            client = subprocess.run([*words, address], capture_output=True, text=True,
                                    timeout=PATIENCE)
            if client.returncode == 0:
                return client.stdout
            if server.poll() is not None:
                break
            try:
                server.wait(0.2)
            except subprocess.TimeoutExpired:
                pass
        raise Failed(f"{tool}: {client.stdout}{client.stderr}")
    except subprocess.TimeoutExpired:
        raise Failed(f"{tool} hangs") from None
    finally:
        server.kill()
        server.wait()


def figures(text, size):
    """The numbers of the line that begins with the size."""
    for line in text.splitlines():
        words = line.split()
        if words and words[0] == str(size):
            return [float(word) for word in words]
    raise Failed(f"no figures in {text}")


def clearframe(program, device, heap, size, ring, frames):
    """The records of the sender and the receiver."""
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, name) for name in ("sent.json", "received.json")]
        nic = f"verbs:device={device},wait=poll"  # as perftest does
        receiver = subprocess.Popen(
            [program, "recv", "--listen", "127.0.0.1:0", "--nic", nic, "--heap", heap, "--timeout",
             str(PATIENCE), "--json", files[1]], stdout=subprocess.PIPE, text=True)
        try:
            for line in receiver.stdout:
                found = re.match(r"listening on (\S+)", line)
                if found:
                    break
            done = subprocess.run(
                [program, "send", found[1], "--nic", nic, "--heap", heap, "--gpu", "none",
                 "--scene", "none", "--paths", "zero-copy", "--verify", "off", "--ring", str(ring),
                 "--size", f"{size[0]}x{size[1]}", "--frames", str(frames), "--block", str(frames),
                 "--warmup", str(ring), "--timeout", str(PATIENCE), "--json", files[0], "--quiet"],
                capture_output=True, text=True, timeout=2 * PATIENCE)
            if done.returncode != 0 or receiver.wait(PATIENCE) != 0:
                raise Failed(done.stderr)
            return [json.loads(file.read_text()) for file in files]
        finally:
            receiver.kill()
            receiver.wait()


def mean_rate(record):
    return record["results"][0]["paths"][0]["gbytes_per_s"]["mean"]


def attempt(measure, *arguments):
    """Once more if it fails: perftest's ends now and then miss each other."""
    for last in (False, True):
        try:
            return measure(*arguments)
        except Failed as failure:
            print(f"{arguments[0]}: {failure}", file=sys.stderr)
            if last:
                raise


def main(program, device="rxe0", address="10.78.0.1"):
    heap = os.environ.get("CLEARFRAME_PERFTEST_HEAP", "memfd")
    if os.environ.get("CLEARFRAME_GUEST"):
        subprocess.run([HERE.parent / "coco_guest/soft_roce"], check=True)
    results = {}

    def note(case, unit, theirs, ours):
        pairs = results.setdefault(case, {"unit": unit, "perftest": [], "clearframe": []})
        pairs["perftest"].append(theirs)
        pairs["clearframe"].append(ours)
        print(f"{case}: perftest {theirs:.4g} {unit}, clearframe {ours:.4g} {unit}, "
              f"ratio {ours / theirs:.3f}", flush=True)

    def throughput(name, size, ring, count):
        bytes_of_frame = size[0] * size[1] * 4 + PAGE_AND_STAMP
        line = figures(perftest("ib_write_bw", device, address, bytes_of_frame, max(count, 5)),
                       bytes_of_frame)
        sent, _ = clearframe(program, device, heap, size, ring, count)
        note(f"throughput, {name}", "GB/s", line[3] * 2**20 / 1e9, mean_rate(sent))

    def latency(name, size):
        bytes_of_frame = size[0] * size[1] * 4 + PAGE_AND_STAMP
        line = figures(perftest("ib_write_lat", device, address, bytes_of_frame, 100),
                       bytes_of_frame)
        _, received = clearframe(program, device, heap, size, 1, 100)
        note(f"latency, {name}", "us", line[4],  # t_typical
             received["results"][0]["paths"][0]["latency_us"]["p50"])

    for _ in range(ROUNDS):
        for case in CASES:
            attempt(throughput, *case)
        attempt(latency, *CASES[0][:2])

    for case, pairs in results.items():
        ratios = [ours / theirs for ours, theirs in zip(pairs["clearframe"], pairs["perftest"])]
        pairs["ratio_median"] = statistics.median(ratios)
        print(f"{case}: median ratio {pairs['ratio_median']:.3f} "
              f"({', '.join(f'{ratio:.3f}' for ratio in ratios)})")
    pathlib.Path("perftest.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
