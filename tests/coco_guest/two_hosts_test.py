"""Two guests: frames of the real heap, drawn by Vulkan in one, verified to the pixel in the other.

    two_hosts_test.py PROGRAM PRELOAD
"""

import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def check(record, role):
    assert record["role"] == role, record["role"]
    heap = record["parts"][0]
    assert heap["name"] == "system_cc_shared" and not heap["emulated"], heap
    # Two kernels have two clocks.
    assert record["latency"] == ("round-trip" if role == "sender" else "none"), record["latency"]
    (scene,) = record["results"]
    assert scene["scene"] == "waves", scene["scene"]
    assert [path["path"] for path in scene["paths"]] == ["zero-copy", "staging"], scene
    for path in scene["paths"]:
        assert path["lost"] == path["corrupt"] == path["rejected"] == 0, path
        assert path["frames"] >= 12 and path["verified_pixels"] == path["frames"] * 320 * 200, path
        zero_copy = path["path"] == "zero-copy"
        assert path["same_buffer"] == zero_copy, path
        assert (path["cpu_copied_bytes"] == 0) == zero_copy, path


def main(program, preload):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [HERE / "run", "--guests", "2", "--time-limit", "300", "--result", "record.json", "--",
             HERE / "two_hosts", program, preload],
            capture_output=True, text=True, timeout=380, cwd=folder)
        print(done.stdout, done.stderr, sep="\n")
        assert done.returncode == 0, done.returncode
        for number, role in ((1, "receiver"), (2, "sender")):
            check(json.loads(pathlib.Path(folder, f"record.json.{number}").read_text()), role)


if __name__ == "__main__":
    main(*sys.argv[1:])
