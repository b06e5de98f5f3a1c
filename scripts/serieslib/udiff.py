# SPDX-License-Identifier: GPL-2.0
"""Unified diffs, read and applied to the letter.

A hunk applies at the line that it names, with the context that it shows, or it
does not apply. So no edit can drift to a place that nobody has looked at.
"""
import os
import re

from .util import Error, git, git_id, hash_object

_HUNK = re.compile(rb'@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(?: .*)?\n?$')


def lines_of(data):
    """Lines with their ends, split at newlines only."""
    parts = data.split(b'\n')
    return [p + b'\n' for p in parts[:-1]] + [p for p in parts[-1:] if p]


class Hunk:
    """One hunk. at: its line in the patch file, body: [(tag, line)]."""

    def __init__(self, at, match):
        a, b, c, d = match.groups()
        self.at = at
        self.old, self.new = int(a), int(c)
        self.nr_old = int(b) if b else 1 if b is None else 0
        self.nr_new = int(d) if d else 1 if d is None else 0
        self.body = []

    def side(self, tags):
        """The lines that are on one side of the hunk."""
        return [line for tag, line in self.body if tag in tags]


class Section:
    """A part of a patch file: the edit that one patch of the series makes."""

    def __init__(self, slug, path, hunks, text):
        self.slug, self.path, self.hunks, self.text = slug, path, hunks, text


def _read_hunk(name, lines, pos):
    m = _HUNK.match(lines[pos])
    if not m:
        raise Error('%s:%d: malformed hunk header' % (name, pos + 1))
    hunk = Hunk(pos + 1, m)
    old = new = 0
    pos += 1
    while old < hunk.nr_old or new < hunk.nr_new or (
            pos < len(lines) and lines[pos].startswith(b'\\')):
        line = lines[pos] if pos < len(lines) else b''
        tag = line[:1]
        if tag == b'\\' and hunk.body:
            last = hunk.body[-1]
            hunk.body[-1] = (last[0], last[1].rstrip(b'\n'))
        elif tag and tag in b' +-':
            hunk.body.append((tag, line[1:]))
            old += tag != b'+'
            new += tag != b'-'
        else:
            raise Error('%s:%d: malformed hunk: it ends before the %d and %d '
                        'lines that its header promises' %
                        (name, pos + 1, hunk.nr_old, hunk.nr_new))
        pos += 1
    if (old, new) != (hunk.nr_old, hunk.nr_new):
        raise Error('%s:%d: malformed hunk: it has %d and %d lines, its header '
                    'promises %d and %d' % (name, hunk.at, old, new,
                                            hunk.nr_old, hunk.nr_new))
    if all(tag == b' ' for tag, _ in hunk.body):
        raise Error('%s:%d: malformed hunk: it changes nothing' %
                    (name, hunk.at))
    return hunk, pos


def parse(name, data):
    """Sections of a patch file, in the order of the file."""
    lines = lines_of(data)
    if lines and not lines[-1].endswith(b'\n'):
        raise Error('%s:%d: no newline at the end' % (name, len(lines)))
    sections = []
    pos = 0
    while pos < len(lines):
        start = pos
        head = [line.rstrip(b'\n').decode(errors='replace')
                for line in lines[pos:pos + 3]] + [''] * 3
        m = re.match(r'Series: ([\w-]+)$', head[0])
        if not m:
            raise Error('%s:%d: malformed: expected "Series: SLUG" or a hunk' %
                        (name, pos + 1))
        path = head[1][6:]
        if head[1] != '--- a/' + path or head[2] != '+++ b/' + path or not path:
            raise Error('%s:%d: malformed: expected "--- a/FILE" and '
                        '"+++ b/FILE"' % (name, pos + 2))
        pos += 3
        hunks = []
        while pos < len(lines) and not lines[pos].startswith(b'Series:'):
            hunk, pos = _read_hunk(name, lines, pos)
            hunks.append(hunk)
        if not hunks:
            raise Error('%s:%d: malformed: no hunk' % (name, start + 1))
        sections.append(Section(m.group(1), path, hunks,
                                b''.join(lines[start:pos])))
    if not sections:
        raise Error('%s: it is empty' % name)
    return sections


def _mismatch(name, hunk, old, start):
    want = hunk.side(b' -')
    for off in range(1, len(old) + 1):
        for at in (start - off, start + off):
            if at >= 0 and old[at:at + len(want)] == want:
                return Error('%s:%d: the hunk does not apply at line %d, only '
                             '%d lines %s' % (name, hunk.at, hunk.old, off,
                                              'before' if at < start
                                              else 'after'))
    for i, line in enumerate(want):
        have = old[start + i] if start + i < len(old) else b'(end of file)'
        if have != line:
            break
    return Error('%s:%d: the hunk does not apply: line %d of the file is "%s", '
                 'not "%s"' % (name, hunk.at, start + i + 1,
                               have.decode(errors='replace').strip(),
                               line.decode(errors='replace').strip()))


def apply(name, section, data):
    """Contents of a file after a section."""
    old, out, pos = lines_of(data), [], 0
    for hunk in section.hunks:
        start = hunk.old - 1 if hunk.nr_old else hunk.old
        if start < pos:
            raise Error('%s:%d: the hunk is not behind the one before it' %
                        (name, hunk.at))
        want = hunk.side(b' -')
        if start > len(old) or old[start:start + len(want)] != want:
            raise _mismatch(name, hunk, old, start)
        out += old[pos:start]
        lands = len(out) + (1 if hunk.nr_new else 0)
        if lands != hunk.new:
            raise Error('%s:%d: the hunk says it lands at line %d, but it '
                        'lands at line %d' % (name, hunk.at, hunk.new, lands))
        out += hunk.side(b' +')
        pos = start + len(want)
    return b''.join(out + old[pos:])


def make(slug, path, old, new):
    """Text of the section that makes new from old, b'' if they are the same."""
    if old == new:
        return b''
    index = os.path.join(git_id('rev-parse', '--absolute-git-dir'),
                         'iou-bpf.%d' % os.getpid())
    trees = []
    # by way of trees, as a diff of blobs doesn't know what language they are
    for data in (old, new):
        try:
            env = {'GIT_INDEX_FILE': index}
            git('update-index', '--add', '--cacheinfo',
                '100644,%s,%s' % (hash_object(data), path), env=env)
            trees.append(git_id('write-tree', env=env))
        finally:
            if os.path.exists(index):
                os.unlink(index)
    text = git('diff-tree', '-p', '-U3', '--no-renames', '--no-color',
               '--no-ext-diff', '--no-textconv', *trees)
    head = 'Series: %s\n--- a/%s\n+++ b/%s\n' % (slug, path, path)
    return head.encode() + text[text.index(b'\n@@ ') + 1:]
