# SPDX-License-Identifier: GPL-2.0
"""A guest that runs the fuzzer. The guest may die or hang at any time."""
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from serieslib.util import Error, GUEST_BUILD, TOP, say, write_file

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, 'build')
# seconds: interval of checks, silence after which a guest counts as hung, time to
# power off after the last run, time to boot
POLL, SILENCE, END, BOOT = 1, 300, 60, 900
BOOT_SCRIPT = os.path.join(SCRIPTS, 'boot.sh')
# parts of a kernel message that differ from one occurrence to the next
VARIES = [(r'\[ *\d+\.\d+\](\[ *[CT]\d+\])? *', ''), (r'0x[0-9a-f]+|\b[0-9a-f]{16}\b', 'X'),
          (r'\b(CPU[:#] ?|PID: ?|pid )\d+', r'\1N'), (r'/\d+(?=\s|$|:)', '/N'),
          (r':\d+ blocked', ':N blocked'), (r'for more than \d+', 'for more than N')]


class Plan:
    """A run of the fuzzer: a line of the plan that scripts/fuzz-guest.sh reads."""

    def __init__(self, name, folder, seconds, command, fault=0):
        self.name, self.folder, self.seconds = name, folder, seconds
        self.command, self.fault = command, fault

    def line(self):
        """Return the line. The time limit is for a fuzzer that hangs."""
        return '%s %s %d %d %s' % (self.name, self.folder, self.fault,
                                   self.seconds + SILENCE, self.command)


class Boot:
    """The outcome of one boot."""

    def __init__(self):
        # seconds until the first run, and why the guest was stopped
        self.came_up, self.stopped = None, ''
        # {name of a run: [kernel complaint...]}, and the log that has the complaints
        self.splats, self.console = {}, ''
        # name of the run that did not end
        self.last = ''


def normal(text):
    """Return a kernel message without its variable parts."""
    for pattern, by in VARIES:
        text = re.sub(pattern, by, text)
    return text.strip()


def complaints(console):
    """Return {name of a run: [complaint...]} of a console log."""
    out = subprocess.run([os.path.join(SCRIPTS, 'splat.sh'), console], check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         text=True, errors='replace').stdout
    found = {}
    for name, text in re.findall(r'^splat(?: in (\S+))?: (.*)$', out, re.M):
        found.setdefault(name, []).append(normal(text))
    return found


def read(*path):
    """Return the text of a file, or an empty string if there is no such file."""
    try:
        with open(os.path.join(*path), encoding='utf-8', errors='replace') as f:
            return f.read()
    except (FileNotFoundError, NotADirectoryError):
        return ''


def session(sid):
    """Return {pid: name} of a session, without zombies."""
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
    """Send a signal to those processes that still exist."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def stop(p):
    """Stop the guest that p has booted. SIGTERM to timeout(1) lets the guest end with a
    complete log. Remaining processes get SIGKILL."""
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
    """A guest that can be booted repeatedly, with the same folder of results."""

    # stops all guests: after an error in one of them, or if the user interrupts
    stop_all = threading.Event()

    def __init__(self, tag, folder, config='debug'):
        self.tag, self.folder, self.config = tag, folder, config
        self.results = os.path.join(BUILD, folder)
        self.boots = self.failed = 0
        self.newest, self.since = None, 0

    def path(self, *names):
        """Return a path in the folder of results."""
        return os.path.join(self.results, *names)

    def in_guest(self, folder='.'):
        """Return the path of a folder of results in the guest."""
        return os.path.normpath(os.path.join(GUEST_BUILD, self.folder, folder))

    def changed(self):
        """Return the time of the last change in the results."""
        newest = 0
        for folder, _, names in os.walk(self.results):
            for name in names:
                try:
                    newest = max(newest, os.stat(os.path.join(folder, name)).st_mtime_ns)
                except FileNotFoundError:
                    pass
        return newest

    def silent(self):
        """Return the seconds since the last change in the results."""
        newest, now = self.changed(), time.monotonic()
        if newest != self.newest:
            self.newest, self.since = newest, now
        return now - self.since

    def prepare(self, plan):
        """Write the plan, and remove the outcome of the previous boot."""
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
        """Wait for the end of the guest, or stop a guest that hangs."""
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
                boot.stopped = 'interrupted'
            elif ended and time.monotonic() - ended > END:
                boot.stopped = 'no power-off after the last run'
            elif not ended and self.silent() > SILENCE:
                boot.stopped = 'no progress for %d seconds' % SILENCE
            if boot.stopped:
                stop(p)
                break
        if boot.came_up is None and read(self.path('current')):
            boot.came_up = time.monotonic() - began

    def boot(self, plan, each=lambda: None):
        """Boot and run the plan. each() is called regularly from the first run on."""
        boot = Boot()
        self.prepare(plan)
        console = os.path.join(BUILD, 'log', 'console-' + self.tag)
        limit = BOOT + sum(run.seconds + SILENCE for run in plan)
        disk = os.path.join(BUILD, 'disk-%s.img' % self.tag)
        p = subprocess.Popen([BOOT_SCRIPT, disk, console, str(limit), '--',
                              os.path.join(SCRIPTS, 'fuzz-guest.sh'), self.in_guest(),
                              GUEST_BUILD + '/kselftest/io_uring_bpf'],
                             start_new_session=True, stdin=subprocess.DEVNULL,
                             env=dict(os.environ, IOU_BPF_CONFIG=self.config))
        try:
            self.watch(p, boot, each)
        finally:
            if p.poll() is None:
                stop(p)
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
        """After a failure, copy the log, which the next boot overwrites."""
        boot.console = 'build/log/console-' + self.tag
        if os.path.exists(console) and (boot.splats or boot.last):
            boot.console += '.%d' % self.boots
            shutil.copyfile(console, console + '.%d' % self.boots)

    def check_came_up(self, boot):
        """Raise Error after two failed boots in a row: one may be due to a busy host."""
        if self.stop_all.is_set() or boot.came_up is not None:
            self.failed = 0
            return
        self.failed += 1
        if self.failed == 2:
            raise Error('the guest failed to boot twice, see build/log/console-' + self.tag)
        say('the guest failed to boot, see build/log/console-' + self.tag)


def number_of(wanted=4):
    """Return the number of guests to run in parallel."""
    return int(subprocess.run(
        ['bash', '-c', '. "$1/lib.sh"; . "$1/vm.sh"; vm_guests "$2"', 'bash', SCRIPTS,
         str(wanted)], check=True, stdout=subprocess.PIPE).stdout)
