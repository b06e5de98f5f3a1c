#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
Read files by a pattern of iou-patterns(8), from Python without any library.

usage: pattern.py FILE...

Opens, reads and closes all files at the same time, with one system call, and prints
their sizes. The pattern is read_file, which the administrator has loaded. Only the
numbers of four system calls and the layout of the ring are needed.
"""
import ctypes
import mmap
import os
import stat
import struct
import sys

PIN_DIR = "/run/iou-patterns"
SIZE = 65536
SLOT = 0

# the same on all architectures but alpha; that of bpf is not
NR_SETUP, NR_ENTER = 425, 426
NR_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
BPF_OBJ_GET, BPF_LINK_CREATE, BPF_F_RDONLY, BPF_IOURING = 7, 28, 8, 62
IORING_OP_BPF, IORING_ENTER_GETEVENTS, IORING_FEAT_SINGLE_MMAP = 65, 1, 1
OFF_SQES = 0x10000000
AT_FDCWD = -100

libc = ctypes.CDLL(None, use_errno=True)


def syscall(nr, *args):
    """A system call. Integers are passed as 64 bits, buffers by their address."""
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    ret = libc.syscall(ctypes.c_long(nr), *args)
    if ret < 0:
        err = ctypes.get_errno()
        raise OSError(err, os.strerror(err))
    return ret


def bpf(cmd, attr):
    return syscall(NR_BPF[os.uname().machine], cmd,
                   ctypes.create_string_buffer(attr, len(attr)), len(attr))


def attach(ring_fd, slot, name, flow_size=0):
    """Attach a pattern to a slot of the ring. Return the file descriptor of the link."""
    st = os.stat(PIN_DIR)
    if st.st_uid or st.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"{PIN_DIR} is not the administrator's")
    path = ctypes.create_string_buffer(os.path.join(PIN_DIR, name).encode())
    prog = bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(path), 0, BPF_F_RDONLY))
    try:
        return bpf(BPF_LINK_CREATE, struct.pack("=6I4Q2I", prog, ring_fd, BPF_IOURING, 0,
                                                slot, 0, 0, 0, 0, 0, flow_size, 0))
    finally:
        os.close(prog)


class Ring:
    """A ring, with as much of it as this program needs"""

    def __init__(self, entries):
        # struct io_uring_params: 10 words, then the offsets in the rings
        params = ctypes.create_string_buffer(120)
        self.fd = syscall(NR_SETUP, entries, params)
        words = struct.unpack_from("=10I", params.raw)
        self.sq = struct.unpack_from("=8I", params.raw, 40)
        self.cq = struct.unpack_from("=8I", params.raw, 80)
        self.cq_entries = words[1]
        if not words[5] & IORING_FEAT_SINGLE_MMAP:
            raise OSError("the kernel is too old")
        size = max(self.sq[6] + words[0] * 4, self.cq[5] + words[1] * 16)
        self.map = mmap.mmap(self.fd, size)
        self.sqes = mmap.mmap(self.fd, words[0] * 64, offset=OFF_SQES)
        self.queued = 0

    def word(self, off):
        return struct.unpack_from("=I", self.map, off)[0]

    def queue(self, user_data, slot, words):
        """Queue a flow with these four words, for submit()."""
        tail = self.word(self.sq[1])
        index = tail & self.word(self.sq[2])
        struct.pack_into("=BBHiQQIIQHHiQQ", self.sqes, index * 64, IORING_OP_BPF, 0, 0, -1,
                         words[0], words[1], slot, 0, user_data, 0, 0, 0, words[2],
                         words[3])
        struct.pack_into("=I", self.map, self.sq[6] + index * 4, index)
        # the kernel reads the tail in the system call, so no barrier is needed
        struct.pack_into("=I", self.map, self.sq[1], tail + 1)
        self.queued += 1

    def submit(self, wait):
        """Submit what is queued, and wait for as many CQEs."""
        done = syscall(NR_ENTER, self.fd, self.queued, wait, IORING_ENTER_GETEVENTS, None, 0)
        self.queued -= done

    def cqes(self):
        """Yield user_data and result of each CQE that is there."""
        head, tail = self.word(self.cq[0]), self.word(self.cq[1])
        while head != tail:
            pos = self.cq[5] + (head & self.word(self.cq[2])) * 16
            yield struct.unpack_from("=Qi", self.map, pos)
            head = head + 1 & 0xffffffff
            struct.pack_into("=I", self.map, self.cq[0], head)


def main(files):
    if not files:
        sys.exit(__doc__.strip())
    ring = Ring(len(files))
    link = attach(ring.fd, SLOT, "read_file")
    # what the requests use has to stay in memory until their CQEs
    paths = [ctypes.create_string_buffer(os.fsencode(f)) for f in files]
    bufs = [ctypes.create_string_buffer(SIZE) for _ in files]
    for i, (path, buf) in enumerate(zip(paths, bufs)):
        flags = (os.O_RDONLY | os.O_CLOEXEC) << 32
        ring.queue(i, SLOT, (flags | AT_FDCWD & 0xffffffff, ctypes.addressof(path),
                             ctypes.addressof(buf), SIZE))
    ring.submit(len(files))
    failed = 0
    for i, res in sorted(ring.cqes()):
        if res < 0:
            print(f"{files[i]}: {os.strerror(-res)}", file=sys.stderr)
            failed = 1
        else:
            lines = bufs[i].raw[:res].count(b"\n")
            print(f"{res} bytes, {lines} lines: {files[i]}")
    os.close(link)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
