# SPDX-License-Identifier: GPL-2.0
"""Failures: those that the fuzzer reports, and those that it cannot report."""
import collections
import re

from serieslib.util import Error

from .guest import read

# rounds: completed by the guest before the failure; where: log of the console
Failure = collections.namedtuple('Failure', 'case kind text rounds where')
# exit status of the fuzzer
GOOD, FAILED, USAGE, REBOOT, CANNOT = range(5)
# exit status of scripts/session.sh: time limit exceeded, a process cannot be killed
TOO_LONG, UNKILLABLE = 124, 125


def stats(folder):
    """Return the statistics of the fuzzer: {name: value}."""
    return {key: int(value) for key, value in
            re.findall(r'^(\w+) (\d+)$', read(folder, 'stats'), re.M)}


def lines(folder):
    """Return the complete lines of the file "failures"."""
    return read(folder, 'failures').split('\n')[:-1]


def parse(line, rounds=0, where=''):
    """Return the Failure that a line describes."""
    match = re.fullmatch(r'(\S+) ([^\s:]+): ?(.*)', line)
    return Failure(*(match.groups() if match else ('-', 'unknown', line)),
                   rounds, where)


def status(folder):
    """Return the exit status of the fuzzer, or None if there is no status."""
    text = read(folder, 'rc').strip()
    return int(text) if text else None


def unnoticed(boot, run, rc, noticed):
    """Return (kind, text) of a failure that the fuzzer did not report, or None."""
    splats = boot.splats.get(run, [])
    first = splats[0] if splats else ''
    if rc is None:
        return 'died', first or (
            'the guest was stopped: ' + boot.stopped if boot.stopped else
            'the guest ended before the fuzzer')
    if rc == TOO_LONG:
        return 'hang', first or 'the fuzzer exceeded its time limit'
    if rc in (REBOOT, UNKILLABLE):
        return None if noticed else (
            'died', first or 'the kernel can no longer be trusted')
    if rc > CANNOT:
        return 'crash', 'the fuzzer exited with status %d' % rc
    if first and not any(first in f.text or f.text in first for f in noticed):
        return 'splat', first
    return None


def check_ran(folder, rc):
    """Raise Error if the fuzzer cannot run here, or rejected its arguments."""
    if rc in (USAGE, CANNOT):
        raise Error('the fuzzer %s: %s' % (
            'does not run here' if rc == CANNOT else 'rejected its arguments',
            ' '.join(read(folder, 'output').split('\n')[-4:]).strip()))


def kinds(found):
    """Return [(kind, [[failure of the same text...]...])], the most frequent first.
    Texts that differ only in numbers count as the same."""
    by_kind = {}
    for f in found:
        text = re.sub(r'\d+', '#', f.text)
        by_kind.setdefault(f.kind, {}).setdefault(text, []).append(f)
    return sorted(((kind, sorted(texts.values(), key=len, reverse=True))
                   for kind, texts in by_kind.items()),
                  key=lambda x: -sum(map(len, x[1])))


def summary(found, rounds, replay):
    """Return the lines of the final summary."""
    out = []
    for kind, texts in kinds(found):
        out.append('%s: %d' % (kind, sum(map(len, texts))))
        for same in texts:
            first = min(same, key=lambda f: f.rounds)
            out.append('  %d x %s' % (len(same), first.text))
            out.append('    first in %s, after %d rounds%s' % (
                first.case, first.rounds, first.where and ', see ' + first.where))
            if first.case != '-':
                out.append('    ' + replay(first.case))
    out.append('fuzz: %d rounds, %d failures' % (rounds, len(found)))
    return out
