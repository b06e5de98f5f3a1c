#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/mutants.py [WORD...]

Checks that the tests detect faults in the kernel. scripts/mutants/*.txt has small
faults. All of them are built into one kernel. They are switched on one at a time in a
guest, which runs the tests that should detect the fault, each on its own. Tries all
faults, or those whose list, file, name or test contains one of the words. Prints TAP.
A fault is "not ok" if one of its tests has not detected it, as is a program whose tests
fail without a fault. For each selftest, some fault must name it.

A fault is a paragraph, with # for comments:

    a_name: io_uring/file.c
    test: a_test [name...]
    - lines that occur once in the file
    + replacement, with MUT for "this fault is switched on"

There may be several "test:" lines. The names, or fixture.variant.name, select tests of
the program. A fault that shows only as a kernel complaint or a hang has "by: splat" or
"by: hang", and is tried last.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

from fuzzlib.guest import number_of
from serieslib.faults import read_lists, write_sources
from serieslib.util import CACHE, Error, GUEST_BUILD, TOP, run, say, write_file

SCRIPTS = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(TOP, 'build')
RESULTS = os.path.join(BUILD, 'mutants')
DISK = os.path.join(BUILD, 'disk-mutants%d.img')
CONSOLE = os.path.join(BUILD, 'log', 'console-mutants%d')
# Bind mounts replace the changed files in the tree, and the build folder by a copy, for
# this build only. So only the changed files are built.
BUILD_SCRIPT = '''
set -e
cache=$1 kernel=$2
shift 2
mkdir -p "$cache/build/debug"
[ -d "$cache/build/mutants" ] || cp -a "$cache/build/debug" "$cache/build/mutants"
mount --bind "$cache/build/mutants" "$cache/build/debug"
for f; do
	mount --bind "$cache/mutants/$f" "$cache/linux/$f"
done
exec "$kernel"
'''


def build(mutants):
    """Build the kernel that has all faults."""
    paths = write_sources(mutants)
    p = subprocess.run(['unshare', '-m', 'sh', '-c', BUILD_SCRIPT, 'sh', CACHE,
                        os.path.join(SCRIPTS, 'kernel.sh')] + paths, check=False)
    if p.returncode:
        sys.exit(1)


def command(test):
    """Return the command of a test: its program, and options that select tests."""
    program, *names = test.split()
    return ' '.join([program] + [('-r ' if '.' in n else '-t ') + n for n in names])


def unbroken(mutants):
    """Return the tests of each program, for the run without a fault."""
    names = {}
    for test in sorted({t for m in mutants for t in m.tests}):
        program, *some = test.split()
        names.setdefault(program, []).append(some)
    return [program if [] in some else
            ' '.join([program] + sorted({n for s in some for n in s}))
            for program, some in names.items()]


def plan(mutants):
    """Return the lines for the guest: name of the run, number of the fault, command."""
    lines = [(False, t.split()[0], 0, 'unbroken.%s 0 %s' % (t.split()[0], command(t)))
             for t in unbroken(mutants)]
    lines += [(bool(m.by), t.split()[0], 1,
               '%s.%d %d %s' % (m.name, i, m.number(), command(t)))
              for m in mutants for i, t in enumerate(m.tests)]
    return [x[-1] for x in sorted(lines, key=lambda x: x[:3])]


def result(name, end):
    """Return the contents of a file of results, or an empty string."""
    try:
        with open(os.path.join(RESULTS, name + '.' + end), encoding='utf-8') as f:
            return f.read().strip()
    except FileNotFoundError:
        return ''


def boot(nr, lines):
    """Run the remaining lines in a guest. Return the name of the last run."""
    write_file(os.path.join(RESULTS, 'plan%d' % nr), ('\n'.join(lines) + '\n').encode())
    write_file(os.path.join(RESULTS, 'last%d.name' % nr), b'')
    say('booting, %d runs to go, log in build/log/console-mutants%d' % (len(lines), nr))
    subprocess.run([os.path.join(SCRIPTS, 'boot.sh'), DISK % nr, CONSOLE % nr,
                    os.environ.get('IOU_BPF_BOOT_TIMEOUT') or '3600', '--',
                    os.path.join(SCRIPTS, 'mutants.sh'), GUEST_BUILD + '/mutants', str(nr),
                    GUEST_BUILD + '/kselftest/io_uring_bpf'],
                   check=False, env=dict(os.environ, IOU_BPF_CONFIG='mutants'))
    out = subprocess.run([os.path.join(SCRIPTS, 'splat.sh'), CONSOLE % nr], check=False,
                         stdout=subprocess.PIPE, text=True).stdout
    for name in re.findall(r'^splat in (\S+): ', out, re.M):
        write_file(os.path.join(RESULTS, name + '.splat'), out.encode())
    last = result('last%d' % nr, 'name')
    if last and not result(last, 'rc'):
        write_file(os.path.join(RESULTS, last + '.rc'), b'hang')
        open(os.path.join(RESULTS, last + '.tap'), 'a').close()
    return last


def run_share(nr, lines):
    """Boot guests until all lines are done: a guest ends if its kernel is damaged."""
    failed = 0
    while lines := [x for x in lines if not result(x.split()[0], 'rc')]:
        failed = 0 if boot(nr, lines) else failed + 1
        if failed == 2:
            raise Error('no guest comes up, see build/log/console-mutants%d' % nr)


def shares(lines, nr):
    """Share the lines among nr guests. Each program is loaded in one guest only."""
    found = [[] for _ in range(nr)]
    programs = {}
    for line in lines:
        programs.setdefault(line.split()[2], []).append(line)
    for some in sorted(programs.values(), key=len, reverse=True):
        min(found, key=len).extend(some)
    return [sorted(share, key=lines.index) for share in found]


def run_all(mutants):
    """Run the tests of all faults."""
    subprocess.run(['rm', '-rf', RESULTS], check=True)
    os.makedirs(RESULTS)
    subprocess.run(['gcc', '-O2', '-Wall', '-fPIC', '-shared', '-o',
                    os.path.join(RESULTS, 'server.so'),
                    os.path.join(SCRIPTS, 'mutants', 'server.c')], check=True)
    lines = plan(mutants)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for end in [pool.submit(run_share, nr, share)
                    for nr, share in enumerate(shares(lines, number_of(len(lines))), 1)]:
            end.result()


def failures(name):
    """Return the names of the tests that failed in a run."""
    rc = result(name, 'rc')
    out = subprocess.run([os.path.join(SCRIPTS, 'tap.sh'),
                          os.path.join(RESULTS, name + '.tap'), rc],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [x.strip() for x in out.splitlines()[1:] if not x.startswith('  #')]
    # the run was stopped at the first failure, or before any
    bad = [x for x in lines if x.startswith('not ok')]
    lines = bad or ([] if rc in ('hang', '125') else lines)
    return [re.sub(r'^not ok \d+ (- )?', '', x) for x in lines]


def verdict(name, by=None):
    """Return a list of what is wrong in that run."""
    found = failures(name)
    if by == 'hang' and result(name, 'rc') in ('hang', '125'):
        found.append('hang')
    if by == 'splat' and result(name, 'splat'):
        found.append('the kernel complains')
    return found


def report(mutants):
    """Print TAP. Return the number of failures."""
    lines = []
    for t in unbroken(mutants):
        name = 'unbroken.' + t.split()[0]
        bad = verdict(name) or verdict(name, 'hang') or verdict(name, 'splat')
        lines.append((not bad, name, bad))
    for m in mutants:
        found = [verdict('%s.%d' % (m.name, i), m.by) for i in range(len(m.tests))]
        lines.append((all(found), m.name,
                      [', '.join(f) or t + ' SURVIVED' for t, f in zip(m.tests, found)]))
    print('TAP version 13\n1..%d' % len(lines))
    for nr, (ok, name, why) in enumerate(lines, 1):
        print('%s %d - %s%s' % ('ok' if ok else 'not ok', nr, name,
                                ' # ' + ', '.join(why) if why else ''))
    return sum(not ok for ok, _, _ in lines)


def main():
    """See the top of the file."""
    if any(w.startswith('-') for w in sys.argv[1:]):
        print(__doc__, end='')
        return 2
    mutants = read_lists(os.path.join(SCRIPTS, 'mutants'))
    wanted = [m for m in mutants if m.wanted(sys.argv[1:])]
    if not wanted:
        raise Error('no such fault')
    build(mutants)
    run_all(wanted)
    return 1 if report(wanted) else 0


if __name__ == '__main__':
    run(main)
