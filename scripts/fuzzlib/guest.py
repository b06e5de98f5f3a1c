# SPDX-License-Identifier: GPL-2.0
"""A guest that runs the fuzzer, and may die of it."""
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from serieslib.util import Error, TOP, say, write_file

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, 'build')
# seconds: between two looks at a guest, until one in which nothing changes is said
# to hang, until one that has done all is said to do so, and of a boot
POLL, SILENCE, END, BOOT = 1, 300, 60, 900
# a console, results and a disk of its own
BOOT_SCRIPT = '''
. "$1/lib.sh"
. "$1/vm.sh"
disk=$BUILD/disk-$2.img
"$1/disk.sh" "$disk"
vm_run "$3" "$BUILD/log/console-$2" \\
	--qemu-opts="-drive file=$disk,format=raw,if=virtio,cache=unsafe" -- \\
	"$1/fuzz-guest.sh" "$GUEST_BUILD/$4" "$GUEST_BUILD/kselftest/io_uring_bpf" >&2 || true
rm -f "$disk"
'''
# What differs each time that the kernel says it.
VARIES = [(r'\[ *\d+\.\d+\](\[ *[CT]\d+\])? *', ''), (r'0x[0-9a-f]+|\b[0-9a-f]{16}\b', 'X'),
          (r'\b(CPU[:#] ?|PID: ?|pid )\d+', r'\1N'), (r'/\d+(?=\s|$|:)', '/N'),
          (r':\d+ blocked', ':N blocked'), (r'for more than \d+', 'for more than N')]


class Plan:
    """One line for scripts/fuzz-guest.sh: a run of the fuzzer."""

    def __init__(self, name, folder, seconds, command, fault=0):
        self.name, self.folder, self.seconds = name, folder, seconds
        self.command, self.fault = command, fault

    def line(self):
        """As the guest reads it. The limit is for a fuzzer that doesn't end."""
        return '%s %s %d %d %s' % (self.name, self.folder, self.fault,
                                   self.seconds + SILENCE, self.command)


class Boot:
    """What there is to be said of one boot."""

    def __init__(self):
        # seconds that it took until the first run, and why it was stopped
        self.came_up, self.stopped = None, ''
        # {name of a run: [what the kernel complained of]}, and where that can be read
        self.splats, self.console = {}, ''
        # the run that was under way when it ended
        self.last = ''


def normal(text):
    """A complaint of the kernel without what differs each time."""
    for pattern, by in VARIES:
        text = re.sub(pattern, by, text)
    return text.strip()


def complaints(console):
    """{name of a run: [complaint...]} of a console's log."""
    out = subprocess.run([os.path.join(SCRIPTS, 'splat.sh'), console], check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         text=True, errors='replace').stdout
    found = {}
    for name, text in re.findall(r'^splat(?: in (\S+))?: (.*)$', out, re.M):
        found.setdefault(name, []).append(normal(text))
    return found


def read(*path):
    """The text of a file, or nothing."""
    try:
        with open(os.path.join(*path), encoding='utf-8', errors='replace') as f:
            return f.read()
    except (FileNotFoundError, NotADirectoryError):
        return ''


def session(sid):
    """{process: its name} of a session, but for those that have ended."""
    found = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/stat' % pid, encoding='ascii', errors='replace') as f:
                name, _, rest = f.read().partition('(')[2].rpartition(')')
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, _, its_session = rest.split()[:4]
        if its_session == str(sid) and state != 'Z':
            found[int(pid)] = name
    return found


def kill(pids, number):
    """Sends a signal to those that are still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def stop(p):
    """Ends a guest that p has booted: it is told to, so that the log is complete,
    and killed if it doesn't."""
    told = [i for i, name in session(p.pid).items() if name == 'timeout']
    kill(told, signal.SIGTERM)
    try:
        p.wait(20 if told else 0)
    except subprocess.TimeoutExpired:
        pass
    end = time.monotonic() + 10
    while (left := session(p.pid)) and time.monotonic() < end:
        kill(left, signal.SIGKILL)
        time.sleep(0.1)
    p.wait()


class Guest:
    """A guest: booted as often as it takes, with the same results."""

    # for all of them, when one can't go on or the user doesn't want to
    stop_all = threading.Event()

    def __init__(self, tag, folder, config='debug'):
        self.tag, self.folder, self.config = tag, folder, config
        self.results = os.path.join(BUILD, folder)
        self.boots = self.failed = 0
        self.newest, self.since = None, 0

    def path(self, *names):
        """One of its results."""
        return os.path.join(self.results, *names)

    def in_guest(self, folder='.'):
        """A folder of its results, as the guest knows it."""
        return os.path.normpath(os.path.join('/tmp/iou-bpf-build', self.folder, folder))

    def changed(self):
        """When something last changed in its results."""
        newest = 0
        for folder, _, names in os.walk(self.results):
            for name in names:
                try:
                    newest = max(newest, os.stat(os.path.join(folder, name)).st_mtime_ns)
                except FileNotFoundError:
                    pass
        return newest

    def silent(self):
        """Seconds in which nothing has changed."""
        newest, now = self.changed(), time.monotonic()
        if newest != self.newest:
            self.newest, self.since = newest, now
        return now - self.since

    def prepare(self, plan):
        """Nothing is left of the boot before but what the fuzzer goes on with."""
        self.boots += 1
        os.makedirs(os.path.join(BUILD, 'log'), exist_ok=True)
        for name in ('current', 'end'):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        for run in plan:
            for name in ('rc', 'stats', 'last', 'output'):
                if os.path.exists(self.path(run.folder, name)):
                    os.unlink(self.path(run.folder, name))
        write_file(self.path('plan'), ''.join(r.line() + '\n' for r in plan).encode())
        self.newest = None

    def watch(self, p, boot, each):
        """Until the guest has ended, or has to."""
        began, ended = time.monotonic(), None
        while p.poll() is None:
            try:
                p.wait(POLL)
                break
            except subprocess.TimeoutExpired:
                pass
            if boot.came_up is None and read(self.path('current')):
                boot.came_up = time.monotonic() - began
            if boot.came_up is not None:
                each()
            if os.path.exists(self.path('end')):
                ended = ended or time.monotonic()
            if self.stop_all.is_set():
                boot.stopped = 'nobody waits for it any more'
            elif ended and time.monotonic() - ended > END:
                boot.stopped = 'it did not switch itself off'
            elif not ended and self.silent() > SILENCE:
                boot.stopped = 'nothing new for %d seconds' % SILENCE
            if boot.stopped:
                stop(p)
                break
        if boot.came_up is None and read(self.path('current')):
            boot.came_up = time.monotonic() - began

    def boot(self, plan, each=lambda: None):
        """Boots, and runs what is planned. each() is called now and then."""
        boot = Boot()
        self.prepare(plan)
        console = os.path.join(BUILD, 'log', 'console-' + self.tag)
        limit = BOOT + sum(run.seconds + SILENCE for run in plan)
        p = subprocess.Popen(['bash', '-c', BOOT_SCRIPT, 'bash', SCRIPTS, self.tag,
                              str(limit), self.folder], start_new_session=True,
                             stdin=subprocess.DEVNULL,
                             env=dict(os.environ, IOU_BPF_CONFIG=self.config))
        try:
            self.watch(p, boot, each)
        finally:
            if p.poll() is None:
                stop(p)
        disk = os.path.join(BUILD, 'disk-%s.img' % self.tag)
        if os.path.exists(disk):
            os.unlink(disk)
        current = read(self.path('current')).strip()
        boot.last = next((run.name for run in plan if run.name == current and
                          not read(self.path(run.folder, 'rc')).strip()), '')
        boot.splats = complaints(console)
        self.keep_console(boot, console)
        self.check_came_up(boot)
        return boot

    def keep_console(self, boot, console):
        """The next boot has a new one: for what went wrong, this one stays."""
        boot.console = 'build/log/console-' + self.tag
        if os.path.exists(console) and (boot.splats or boot.last):
            boot.console += '.%d' % self.boots
            shutil.copyfile(console, console + '.%d' % self.boots)

    def check_came_up(self, boot):
        """On a machine that is busy, once is no reason to give up."""
        if self.stop_all.is_set() or boot.came_up is not None:
            self.failed = 0
            return
        self.failed += 1
        if self.failed == 2:
            raise Error('no guest comes up, see build/log/console-' + self.tag)
        say('the guest has not come up, see build/log/console-' + self.tag)


def number_of(wanted=4):
    """How many guests, side by side?"""
    return int(subprocess.run(
        ['bash', '-c', '. "$1/lib.sh"; . "$1/vm.sh"; vm_guests "$2"', 'bash', SCRIPTS,
         str(wanted)], check=True, stdout=subprocess.PIPE).stdout)
