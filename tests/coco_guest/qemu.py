"""One guest under QEMU's emulation: what it is started with, and the channels between it and us."""

import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = "qemu-system-x86_64"
MEMORY = "2G"
CABLE_MTU = 4200  # room for soft-RoCE's largest packet, 4096 bytes and its headers

# In a confidential guest virtio devices go through the DMA API, so that they use shared memory.
VIRTIO = "disable-legacy=on,iommu_platform=on"


def initramfs(folder):
    """Makes the initramfs in `folder`: busybox and our init, nothing else. Returns its path."""
    tree = folder / "initramfs"
    (tree / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), tree / "bin/busybox")
    shutil.copy(HERE / "init", tree / "init")
    for path in ("bin/busybox", "init"):
        (tree / path).chmod(0o755)
    archive = folder / "initramfs.cpio"
    with open(archive, "wb") as file:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, stdout=file, check=True,
                       input=b"bin\nbin/busybox\ninit\n")
    return archive


class Lines:
    """Takes bytes in pieces, gives whole lines."""

    def __init__(self):
        self.rest = b""

    def feed(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        return lines


class Monitor:
    """QEMU's control channel (QMP). Commands are answered in their order, by a later call."""

    def __init__(self, channel):
        self.channel = channel
        self.lines = Lines()
        self.waiting = []

    def command(self, name, arguments, answered):
        """answered(ERROR) is called when it is done; ERROR is None or what QEMU says."""
        self.waiting.append(answered)
        message = {"execute": name, "arguments": arguments}
        self.channel.sendall(json.dumps(message).encode() + b"\n")

    def ready(self, data):
        for line in self.lines.feed(data):
            message = json.loads(line)
            if "return" in message or "error" in message:
                error = message.get("error")
                self.waiting.pop(0)(error and error["desc"])


class Guest:
    """A running guest. Whoever makes one calls close(), which ends it if need be."""

    def __init__(self, folder, kernel, arguments, number, cable):
        """`folder`: its own, for all its files. `cable`: a socket to the other guest, or None."""
        self.number = number
        self.share = folder / "share"
        self.kernel_log = folder / "kernel.log"
        self.status = None  # the command's, once it has ended
        (self.share / "results").mkdir(parents=True)
        shutil.copy(HERE / "session", self.share / "session")
        settings = {"number": number, "guests": arguments.guests, "directory": os.getcwd()}
        lists = {"command": arguments.command, "results": arguments.result}
        (self.share / "settings").write_text("".join(
            [f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()] +
            [f"{name}=({shlex.join(values)})\n" for name, values in lists.items()]))

        self.out, out = os.pipe()
        self.err, err = os.pipe()
        self.requests, requests = socket.socketpair()
        control, monitor = socket.socketpair()
        self.monitor = Monitor(control)
        self.request_lines = Lines()
        inherited = [out, err, requests.fileno(), monitor.fileno()]
        command = [
            "setpriv", "--pdeathsig", "KILL",  # ends with us, however we end
            PROGRAM, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY,
            "-kernel", kernel, "-initrd", initramfs(folder),
            "-append", "console=ttyS0 panic=-1" +
            ("" if arguments.plain else " coco_emulate"),
            "-serial", "file:" + str(self.kernel_log).replace(",", ",,"),
            *self.file_system("host", "/", "readonly=on"),
            *self.file_system("guest", self.share, "readonly=off"),
            "-device", f"virtio-serial-pci,{VIRTIO}",
            *self.port("out", "file,path=/dev/fdset/1,append=on", 1, out),
            *self.port("err", "file,path=/dev/fdset/2,append=on", 2, err),
            *self.port("host", f"socket,fd={requests.fileno()}"),
            "-chardev", f"socket,id=monitor,fd={monitor.fileno()}",
            "-mon", "chardev=monitor,mode=control",
            "-device", "edu,dma_mask=0xffffffffff",
            "-device", "bochs-display",
        ]
        if cable:
            inherited.append(cable.fileno())
            command += ["-netdev", f"socket,id=cable,fd={cable.fileno()}", "-device",
                        f"virtio-net-pci,netdev=cable,mac=52:54:00:77:00:{number:02x},"
                        f"host_mtu={CABLE_MTU},romfile=,{VIRTIO}"]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=inherited)
        finally:
            for end in (out, err):
                os.close(end)
            for end in (requests, monitor):
                end.close()
        self.monitor.command("qmp_capabilities", {}, lambda error: None)

    @staticmethod
    def file_system(tag, path, access):
        path = str(path).replace(",", ",,")
        return ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap,{access}",
                "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag},{VIRTIO}"]

    @staticmethod
    def port(name, chardev, fd_set=None, fd=None):
        kind, _, options = chardev.partition(",")
        add = ["-add-fd", f"set={fd_set},fd={fd}"] if fd_set else []
        return [*add, "-chardev", f"{kind},id={name},{options}",
                "-device", f"virtserialport,chardev={name},name={name}"]

    def request(self, data):
        """What the guest writes to /dev/guest-host: a line a request, answered by a line."""
        for line in self.request_lines.feed(data):
            words = line.decode(errors="replace").split()
            if len(words) == 2 and words[0] == "screendump" and re.fullmatch(r"[\w-]+\.ppm", words[1]):
                # QEMU writes it to where the guest sees it as /run/guest/NAME.ppm.
                self.monitor.command("screendump", {"filename": str(self.share / words[1])},
                                     self.answer)
            else:
                self.answer("the host knows: screendump NAME.ppm")

    def answer(self, error):
        self.requests.sendall(f"error {error}\n".encode() if error else b"ok\n")

    def collect(self):
        """Once QEMU has ended: the command's status, or None if the guest broke down."""
        try:
            return int((self.share / "status").read_text())
        except (OSError, ValueError):
            return None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
