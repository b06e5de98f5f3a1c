#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/bench/symbols.py VMLINUX FILE

Writes the functions of a kernel for the counter: "ADDRESS NAME", in order, with one
name per address. Prints the end of the kernel's image. Exit status 1, and an error
message, if a function that the benchmark counts is missing.
"""
import subprocess
import sys

from counters import NAMES, plain, wanted


def read_nm(vmlinux):
    """Yield all symbols, as (address, type, name), ordered by address."""
    out = subprocess.run(['nm', '-n', vmlinux], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    for line in out.splitlines():
        fields = line.split()
        if len(fields) == 3:
            yield int(fields[0], 16), fields[1], fields[2]


def functions(symbols):
    """Return {address: name}: of several names the counted one, or else the first.
    Skips the padding before functions."""
    found = {}
    for addr, kind, name in symbols:
        if kind not in 'tTwW' or addr >> 63 == 0 or name.startswith('__pfx_'):
            continue
        if addr not in found or wanted(name):
            found[addr] = name
    return found


def main():
    """See the top of the file."""
    if len(sys.argv) != 3:
        print(__doc__, end='')
        return 2
    symbols = list(read_nm(sys.argv[1]))
    found = functions(symbols)
    missing = NAMES - {plain(n) for n in found.values() if wanted(n)}
    end = [addr for addr, _, name in symbols if name == '_end']
    if missing or not end:
        print('error: %s has no function %s' %
              (sys.argv[1], ', '.join(sorted(missing)) or '_end'), file=sys.stderr)
        return 1
    with open(sys.argv[2], 'w') as f:
        for addr, name in sorted(found.items()):
            f.write('%x %s\n' % (addr, name))
    print('%x' % end[0])
    return 0


if __name__ == '__main__':
    sys.exit(main())
