# SPDX-License-Identifier: GPL-2.0
"""MAINTAINERS: the repository has only our stanza."""
import re

from .util import Error

FILE = 'MAINTAINERS'


def _stanzas(data):
    """Return (start, end) of each paragraph."""
    return [m.span() for m in re.finditer(rb'(?:[^\n]+\n)+', data)]


def _place(data):
    """Return the position of our stanza, behind io_uring's."""
    last = None
    for start, end in _stanzas(data):
        if data.startswith(b'IO_URING BPF-OPS\n', start):
            return end
        if re.match(rb'IO_URING\b', data[start:end]):
            last = end
    if last is None:
        raise Error('%s: the kernel has no stanza of io_uring to put ours '
                    'behind' % FILE)
    return last


def insert(data, stanza):
    """Return the kernel's file with our stanza."""
    if len(_stanzas(stanza)) != 1 or _stanzas(stanza)[0] != (0, len(stanza)):
        raise Error('%s: it has to be one stanza, without empty lines' % FILE)
    at = _place(data)
    return data[:at] + b'\n' + stanza + data[at:]


def extract(base, data):
    """Return the stanza from which insert() would make data."""
    at = _place(base)
    size = len(data) - len(base) - 1
    stanza = data[at + 1:at + 1 + size]
    if size <= 0 or insert(base, stanza) != data:
        raise Error('%s: the work tree must add one stanza only, behind that of '
                    'io_uring' % FILE)
    return stanza
