# SPDX-License-Identifier: GPL-2.0
"""What the fuzzer has found: what it says itself, and what it can't."""
import collections
import re

from serieslib.util import Error

from .guest import read

# where: the console's log; rounds: after so many of that guest
Failure = collections.namedtuple('Failure', 'case kind text rounds where')
# exit status of the program
GOOD, FAILED, USAGE, REBOOT, CANNOT = range(5)
# ... and of scripts/session.sh: it took too long, something can't be killed
TOO_LONG, UNKILLABLE = 124, 125


def stats(folder):
    """What the fuzzer counts."""
    return {key: int(value) for key, value in
            re.findall(r'^(\w+) (\d+)$', read(folder, 'stats'), re.M)}


def lines(folder):
    """The failures that it has written down, but for what is half a line."""
    return read(folder, 'failures').split('\n')[:-1]


def parse(line, rounds=0, where=''):
    """One of those."""
    match = re.fullmatch(r'(\S+) ([^\s:]+): ?(.*)', line)
    return Failure(*(match.groups() if match else ('-', 'unknown', line)),
                   rounds, where)


def status(folder):
    """Exit status of the program. None if it has none."""
    text = read(folder, 'rc').strip()
    return int(text) if text else None


def unnoticed(boot, run, rc, noticed):
    """What a run has done wrong that the fuzzer didn't say: (kind, text), or nothing."""
    splats = boot.splats.get(run, [])
    first = splats[0] if splats else ''
    if rc is None:
        return 'died', first or 'the guest has ended' + (
            boot.stopped and ', ' + boot.stopped)
    if rc == TOO_LONG:
        return 'hang', first or 'the fuzzer did not come to its end'
    if rc in (REBOOT, UNKILLABLE):
        return None if noticed else (
            'died', first or 'the kernel is not to be trusted any more')
    if rc > CANNOT:
        return 'crash', 'the fuzzer has ended with status %d' % rc
    if first and not any(first in f.text or f.text in first for f in noticed):
        return 'splat', first
    return None


def check_ran(folder, rc):
    """Fails if it does not run here, or with these arguments."""
    if rc in (USAGE, CANNOT):
        raise Error('the fuzzer %s: %s' % (
            'does not run here' if rc == CANNOT else 'was called in a wrong way',
            ' '.join(read(folder, 'output').split('\n')[-4:]).strip()))


def kinds(found):
    """[(kind, [[failure of the same text...]...])], what came often first. Numbers
    don't make a text another one."""
    by_kind = {}
    for f in found:
        text = re.sub(r'\d+', '#', f.text)
        by_kind.setdefault(f.kind, {}).setdefault(text, []).append(f)
    return sorted(((kind, sorted(texts.values(), key=len, reverse=True))
                   for kind, texts in by_kind.items()),
                  key=lambda x: -sum(map(len, x[1])))


def summary(found, rounds, replay):
    """Lines for the end of a run."""
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
