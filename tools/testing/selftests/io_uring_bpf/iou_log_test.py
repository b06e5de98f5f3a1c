#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""
iou-log, the log writer with group commit: what it has reported as durable is there after
a crash, without a gap, and nothing follows that was not appended.

The writer is killed, or the power of its disk is cut: a null_blk with a volatile cache,
which forgets what was not flushed. Its reports come through a pipe, so they survive. The
same checks have to fail for writers that are wrong on purpose.

With IOU_LONG=1 in the environment, there are more tests, and 50 crashes of each kind
instead of 2. IOU_LOG_ROUNDS sets another number, and IOU_LOG_SEED repeats the random
delays. Arguments are names of tests.
"""
import contextlib
import fcntl
import os
import random
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

TOOL = os.environ.get("IOU_LOG", "./iou-log")
LONG = os.environ.get("IOU_LONG", "0") != "0"
ROUNDS = int(os.environ.get("IOU_LOG_ROUNDS", "50" if LONG else "2"))
SEED = int(os.environ.get("IOU_LOG_SEED", str(random.randrange(1 << 32))))
# of one command; an emulated machine takes seconds to load the program
TIMEOUT = 120

NULLB = "/sys/kernel/config/nullb"
DISK = "iou_log"
DEV = "/dev/" + DISK

EXT4_IOC_SHUTDOWN = 0x8004587d
EXT4_GOING_FLAGS_NOLOGFLUSH = 2


class Skip(Exception):
    """The test cannot run here."""


class Violated(Exception):
    """Something is not as promised."""


class Lost(Violated):
    """A record that was reported is not there."""


def record(nr):
    """The line with this number, from 1 on. No two are equal."""
    return b"%d %s" % (nr, b"abcdefghijklmnopqrstuvwxyz"[nr % 26:][:1] * (nr * 37 % 200))


def records(first, last):
    return b"".join(record(nr) + b"\n" for nr in range(first, last + 1))


class Writer:
    """iou-log append, with what it has reported"""

    running = []
    # seconds from the start of one to its first report
    start_time = 1

    def __init__(self, path, *args, fsize=None, prefix=()):
        def limit():
            if fsize is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (fsize, fsize))

        self.reported = 0
        self.started = time.monotonic()
        self.text = ""
        self.changed = threading.Condition()
        self.stopped = False
        self.feeder = None
        self.proc = subprocess.Popen([*prefix, TOOL, "append", *args, path],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, preexec_fn=limit)
        Writer.running.append(self)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.proc.stdout:
            word, nr = line.split()
            assert word == b"durable" and int(nr) > self.reported, line
            if not self.reported:
                Writer.start_time = time.monotonic() - self.started
            with self.changed:
                self.reported = int(nr)
                self.changed.notify_all()
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def write(self, data):
        try:
            self.proc.stdin.write(data)
            self.proc.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def start_feeder(self, func):
        # a writer that does not read any more must not stop the test
        self.feeder = threading.Thread(target=func)
        self.feeder.start()

    def send(self, data):
        """Write what is all."""
        def run():
            if self.write(data):
                self.close()

        self.start_feeder(run)

    def feed(self, first):
        """Write records until the writer ends: bursts, so that groups have any size."""
        def run():
            nr = first
            while not self.stopped:
                n = random.choice((1, 3, 20, 60))
                if not self.write(records(nr, nr + n - 1)):
                    return
                nr += n
                time.sleep(random.choice((0, 0.001, 0.01)))

        self.start_feeder(run)

    def wait_for(self, nr):
        """Wait until @nr records are durable, or the writer has ended."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.stopped or self.reported >= nr,
                                         TIMEOUT):
                raise Violated(f"no report of {nr} for {TIMEOUT} s, last {self.reported}")
        return self.reported >= nr

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)

    def close(self):
        # what is buffered still
        with contextlib.suppress(BrokenPipeError):
            self.proc.stdin.close()

    def end(self):
        """Wait for the end, of the feeder as well. Return the exit status."""
        if not self.feeder:
            self.close()
        try:
            self.proc.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Violated(f"has not ended, reported {self.reported}") from None
        self.clean_up()
        return self.proc.returncode

    def clean_up(self):
        """Leave nothing behind, whatever has happened."""
        if self not in Writer.running:
            return
        Writer.running.remove(self)
        self.kill()
        self.proc.wait()
        self.reader.join()
        if self.feeder:
            self.feeder.join()
        self.close()
        self.text = self.proc.stderr.read().decode()
        self.proc.stderr.close()
        self.proc.stdout.close()


def run(*args):
    return subprocess.run(args, check=True, timeout=TIMEOUT, stdout=subprocess.PIPE).stdout


def find(path, *args):
    """Return the number of records in the log, all of which are as they were appended."""
    if not os.path.exists(path):
        return 0
    text = run(TOOL, "cat", *args, path)
    nr = text.count(b"\n")
    if text != records(1, nr):
        for i, line in enumerate(text.split(b"\n")[:-1], 1):
            if line != record(i):
                raise Violated(f"record {i} of {nr} is {line[:40]}")
    return nr


def check(path, reported, *args):
    nr = find(path, *args)
    if nr < reported:
        raise Lost(f"{reported} records were reported, {nr} are there")
    return nr


def append(path, first, last, *args, status=0, **kwargs):
    """Append these, and wait for the end, with any status if that is None."""
    w = Writer(path, *args, **kwargs)
    w.send(records(first, last))
    rc = w.end()
    if status not in (None, rc):
        raise Violated(f"exit status {rc}, expected {status}: {w.text}")
    return w


def loses(what, func, *args):
    """Run a test that has to lose records."""
    try:
        func(*args)
    except Lost as e:
        print("# as it has to:", e)
        return
    raise Violated(f"{what}: was not noticed")


class Disk:
    """A null_blk with a volatile cache, of @size MiB"""

    def __init__(self, size=64):
        subprocess.run(["mount", "-t", "configfs", "none", "/sys/kernel/config"],
                       check=False, stderr=subprocess.DEVNULL)
        if not os.path.isdir(NULLB):
            raise Skip("no null_blk with configfs")
        self.dir = os.path.join(NULLB, DISK)
        if os.path.isdir(self.dir):
            # of a test that was killed
            self.remove()
        os.mkdir(self.dir)
        # requests take 2 ms, so that a crash finds some in flight
        for name, value in (("size", size), ("blocksize", 512), ("memory_backed", 1),
                            ("cache_size", 32), ("irqmode", 2),
                            ("completion_nsec", 2000000)):
            self.set(name, value)
        self.power_up()

    def set(self, name, value):
        with open(os.path.join(self.dir, name), "w", encoding="ascii") as f:
            f.write(str(value))

    def cut(self):
        self.set("power", 0)

    def power_up(self):
        self.set("power", 1)
        if not stat.S_ISBLK(os.stat(DEV).st_mode):
            raise Violated(f"{DEV} is not a disk")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for w in list(Writer.running):
            w.clean_up()
        self.remove()

    def remove(self):
        self.cut()
        os.rmdir(self.dir)


# The tests

def test_groups():
    """One CQE for a group, and one at the end. No other capability is needed."""
    w = append(LOG, 1, 1000, "-v", "-k", "100", "-t", "60000",
               prefix=("setpriv", "--bounding-set=-all,+bpf"))
    words = w.text.split()
    stats = {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}
    print("#", stats)
    if w.reported != 1000 or check(LOG, 1000) != 1000 or stats["records"] != 1000:
        raise Violated(f"reported {w.reported}")
    # fewer groups than 10: records that arrive during a commit belong to the next
    if stats["groups"] > 10 or stats["cqes"] != stats["groups"] + 1:
        raise Violated("too many groups or CQEs")
    if stats["enters"] > stats["cqes"] + 1:
        raise Violated("the application was woken without a CQE")


def test_wait():
    """Each record on its own, so that the flow sleeps before each: none is forgotten."""
    kinds = [("-k", "1"), ("-k", "100", "-t", "0"), ("-k", "2", "-t", "1")]
    for args in kinds if LONG else [random.choice(kinds)]:
        print("#", *args)
        first = find(LOG) + 1
        w = Writer(LOG, *args)
        for nr in range(first, first + (200 if LONG else 30)):
            w.write(records(nr, nr))
            if not w.wait_for(nr):
                raise Violated(f"ended at {nr}")
        if w.end():
            raise Violated(w.text)


def test_time():
    """The time counts from the first record, not from the last one."""
    w = Writer(LOG, "-k", "1000000", "-t", "500")
    w.write(records(1, 1))
    w.wait_for(1)
    nr = 1
    start = time.monotonic()
    while w.reported == 1 and time.monotonic() < start + TIMEOUT:
        nr += 1
        w.write(records(nr, nr))
        time.sleep(0.1)
    took = time.monotonic() - start
    if w.end() or not 0.5 < took < TIMEOUT or check(LOG, nr) != nr:
        raise Violated(f"reported {w.reported} after {took} s, {w.text}")


def test_stale():
    """Records behind a gap do not come back when the gap is filled with the same data."""
    w = Writer(LOG, "-k", "50", "-t", "60000")
    ends = []
    for nr in (50, 100, 150):
        w.write(records(nr - 49, nr))
        w.wait_for(nr)
        ends.append(os.path.getsize(LOG))
    if w.end() or w.reported != 150:
        raise Violated(f"reported {w.reported}, {w.text}")
    # in the second of three groups
    with open(LOG, "r+b") as f:
        f.seek(ends[0])
        data = f.read(4096)
        f.seek(ends[0])
        f.write(bytes(c ^ 0xff for c in data))
        os.fsync(f.fileno())
    if find(LOG) != 50:
        raise Violated(f"{find(LOG)} records before the gap")
    # the same group at the same place
    w = append(LOG, 51, 100, "-k", "50", "-t", "60000")
    if w.reported != 100 or find(LOG) != 100:
        raise Violated(f"{find(LOG)} records after 100 were appended")


def short_write(status, *args):
    """A group that does not fit"""
    w = append(LOG, 1, 1000, "-k", "600", "-t", "60000", *args, fsize=32768, status=status)
    check(LOG, w.reported)
    return w


def test_short_write():
    w = short_write(1)
    if w.reported or "write: Input/output error" not in w.text:
        raise Violated(f"reported {w.reported}, {w.text}")
    # what the group has left there is no obstacle
    nr = find(LOG)
    w = append(LOG, nr + 1, 1000)
    if w.reported != 1000 or check(LOG, 1000) != 1000:
        raise Violated(f"reported {w.reported}")


def test_short_write_control():
    loses("a short write that counts", short_write, None, "--fault", "short")


def test_full():
    """A full disk, and more data than the ring has room for, in one group after the other"""
    with Disk(size=3) as disk:
        w = append(DEV, 1, 30000, "-k", "1000000", "-t", "60000", status=1)
        print("#", w.reported, w.text.strip())
        if not w.reported or "write: " not in w.text:
            raise Violated(f"reported {w.reported}, {w.text}")
        disk.cut()
        disk.power_up()
        check(DEV, w.reported)


def test_reopen():
    """A writer reports what it finds, and has to sync that first."""
    with Disk() as disk:
        append(DEV, 1, 10, "--fault", "no-sync")
        w = append(DEV, 11, 10)
        if w.reported != 10:
            raise Violated(f"reported {w.reported}")
        disk.cut()
        disk.power_up()
        check(DEV, 10)


def failed_sync(status, *args):
    """
    Writes to the page cache succeed, the sync does not: the disk has bad blocks, which are
    good again afterwards. Return the writer.
    """
    with Disk() as disk, open(DEV, "rb"):
        # the open file keeps the page cache, with the records that are not on disk
        w = Writer(DEV, "-b", "-k", "10", *args)
        w.write(records(1, 10))
        w.wait_for(10)
        disk.set("badblocks", "+0-8191")
        w.write(records(11, 20))
        w.wait_for(20)
        disk.set("badblocks", "-0-8191")
        # the log has ended
        w.write(records(21, 30))
        if w.end() != status:
            raise Violated(f"exit status {w.proc.returncode}: {w.text}")
        # what is only in the page cache is not durable for the next writer
        again = append(DEV, 11, 10, "-b") if status else w
        disk.cut()
        disk.power_up()
        check(DEV, max(w.reported, again.reported))
        return w


def test_failed_sync():
    w = failed_sync(1)
    if w.reported != 10 or "sync: Input/output error" not in w.text:
        raise Violated(f"reported {w.reported}, {w.text}")


def test_retry_control():
    loses("a sync that has failed, and a second one", failed_sync, 0, "--fault", "retry")


def until_crash(path, nr, *args, early=True):
    """
    Start a writer for a log of @nr records. Return it when it is busy, or now and then, if
    @early, while it opens the log.
    """
    w = Writer(path, *args)
    w.feed(nr + 1)
    if early and random.random() < 0.15:
        time.sleep(random.random() * Writer.start_time)
    else:
        w.wait_for(nr + 1)
        time.sleep(random.random() * 0.3)
    return w


def group_args():
    return ("-k", str(random.choice((1, 10, 100))), "-t", str(random.choice((0, 5, 20))))


def test_kill():
    """Kill the writer."""
    nr = 0
    for i in range(ROUNDS):
        w = until_crash(LOG, nr, *group_args())
        w.kill()
        if w.end() != -signal.SIGKILL:
            raise Violated(f"round {i} has ended: {w.text}")
        nr = check(LOG, max(w.reported, nr))
    print(f"# {ROUNDS} kills, {nr} records")


def power_cut(disk, nr, kill, *args):
    """
    Cut the power. The writer dies with it, or is alive and sees the errors: it must not
    report more then. Return the number of records.
    """
    # to open a disk that is gone would create a file
    w = until_crash(DEV, nr, *args, early=kill)
    if kill:
        w.kill()
    disk.cut()
    if w.end() != (-signal.SIGKILL if kill else 1):
        raise Violated(f"has ended: {w.text}")
    disk.power_up()
    return check(DEV, max(w.reported, nr))


def power_cuts(rounds, *args):
    nr = 0
    with Disk() as disk:
        for i in range(rounds):
            nr = power_cut(disk, nr, i % 2, *(args or group_args()))
    print(f"# {rounds} power cuts, {nr} records")


def test_power_cut():
    power_cuts(ROUNDS)


def test_no_sync_control():
    loses("no sync", power_cuts, 10, "--fault", "no-sync")


def test_early_control():
    loses("a report before the sync", power_cuts, 10, "--fault", "early", "-k", "10")


def shutdown(mnt):
    """Make ext4 forget what it has not written: a power cut would sync it otherwise."""
    fd = os.open(mnt, os.O_RDONLY)
    fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", EXT4_GOING_FLAGS_NOLOGFLUSH))
    os.close(fd)


@contextlib.contextmanager
def mounted(mnt):
    run("mount", "-t", "ext4", DEV, mnt)
    try:
        yield
    finally:
        for w in list(Writer.running):
            w.clean_up()
        run("umount", mnt)


def file_system_cuts(rounds, *args):
    """The log is a file, which grows, with and without the page cache."""
    if not shutil.which("mkfs.ext4"):
        raise Skip("no mkfs.ext4, of e2fsprogs")
    mnt = os.path.join(TMP, "mnt")
    path = os.path.join(mnt, "log")
    os.mkdir(mnt)
    nr = 0
    with Disk() as disk:
        run("mkfs.ext4", "-q", DEV)
        for i in range(rounds):
            with mounted(mnt):
                nr = check(path, nr)
                cache = ("-b",) if i % 2 else ()
                w = until_crash(path, nr, *(args or group_args()), *cache)
                # ext4 lets a sync succeed that its shutdown has cut short
                nr = max(nr, w.reported)
                shutdown(mnt)
                w.end()
            disk.cut()
            disk.power_up()
        with mounted(mnt):
            nr = check(path, nr)
    print(f"# {rounds} power cuts, {nr} records")


def test_file_system_cut():
    file_system_cuts(ROUNDS)


def test_file_system_control():
    loses("no sync of a file", file_system_cuts, 10, "--fault", "no-sync")


def test_file_system_early():
    loses("a report before the sync of a file", file_system_cuts, 10, "--fault", "early",
          "-k", "10")


# without which the test takes a minute on an emulated machine
LONG_TESTS = (test_time, test_full, test_reopen, test_file_system_cut,
              test_file_system_control, test_file_system_early)


def run_test(nr, test):
    """Print a line of TAP. Return True if the test has not failed."""
    global TMP, LOG
    result = f"ok {nr} {test.__name__[5:]}"
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as TMP:
        LOG = os.path.join(TMP, "log")
        try:
            test()
        except Skip as e:
            result += f" # SKIP {e}"
        except (Violated, AssertionError, OSError, subprocess.SubprocessError) as e:
            result = f"# {type(e).__name__}: {e}\nnot {result}"
        finally:
            for w in list(Writer.running):
                w.clean_up()
    print(f"# {time.monotonic() - start:.1f} s")
    print(result, flush=True)
    return "not ok" not in result


def main():
    global TOOL
    tests = [f for name, f in globals().items() if name.startswith("test_")]
    if sys.argv[1:]:
        tests = [f for f in tests if f.__name__[5:] in sys.argv[1:]]
    elif not LONG:
        tests = [f for f in tests if f not in LONG_TESTS]
    if os.getuid():
        print("1..0 # SKIP needs root, to load the program")
        return 4
    if not os.path.exists(TOOL):
        print("1..0 # SKIP no iou-log")
        return 4
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    print("TAP version 13")
    print(f"1..{len(tests)}")
    print(f"# IOU_LOG_SEED={SEED} IOU_LOG_ROUNDS={ROUNDS}", flush=True)
    random.seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        # it is started often, and to read it over a network takes long
        copy = shutil.copy(TOOL, folder)
        if os.access(copy, os.X_OK):
            TOOL = copy
        results = [run_test(nr, test) for nr, test in enumerate(tests, 1)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
