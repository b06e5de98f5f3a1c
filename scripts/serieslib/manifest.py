# SPDX-License-Identifier: GPL-2.0
"""What the series consists of: scripts/series/.

  order       slugs of the patches, in their order
  SLUG.txt    subject, empty line, message, then a line "---" and below it the
              new files that the patch brings: a path or glob a line, where **
              matches across folders, and "!" takes files out again. Edits of
              kernel files say in their .patch which patch they belong to.
  cover.txt   subject, empty line, text of the cover letter
  other       files of the repository that are not part of the series
"""
import os
import re

from .util import TOP, Error

DIR = 'scripts/series'


def _glob_re(glob):
    out = ''
    for part in re.split(r'(\*\*|\*|\?)', glob):
        out += {'**': '.*', '*': '[^/]*', '?': '[^/]'}.get(part,
                                                          re.escape(part))
    return out


class Globs:
    """A list of globs. The last one that matches a path decides."""

    def __init__(self, lines):
        self.globs = []
        for line in lines:
            if line and not line.startswith('#'):
                self.globs.append((not line.startswith('!'),
                                   re.compile(_glob_re(line.lstrip('!')))))

    def match(self, path):
        """Is this path meant?"""
        found = False
        for take, pattern in self.globs:
            if pattern.fullmatch(path):
                found = take
        return found


def _read(name):
    try:
        with open(os.path.join(TOP, DIR, name), encoding='utf-8') as f:
            return f.read()
    except FileNotFoundError:
        raise Error('%s/%s: no such file' % (DIR, name)) from None
    except UnicodeDecodeError:
        raise Error('%s/%s: not UTF-8' % (DIR, name)) from None


def _message(name, text):
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise Error('%s/%s: no subject in its first line' % (DIR, name))
    if len(lines) < 3 or lines[1]:
        raise Error('%s/%s: no empty line and text below the subject' %
                    (DIR, name))
    for nr, line in enumerate(lines, 1):
        # git am takes such a line for the end of the message
        if re.match(r'(---|diff -|Index: )', line):
            raise Error('%s/%s:%d: "%s" would end the message' %
                        (DIR, name, nr, line))
    return lines[0], '\n'.join(lines[2:]).strip('\n') + '\n'


class Patch:
    """One patch of the series, without its contents."""

    def __init__(self, slug):
        self.slug = slug
        self.file = '%s.txt' % slug
        text, found, files = _read(self.file).partition('\n---\n')
        if not found:
            raise Error('%s/%s: no line "---" and list of new files' %
                        (DIR, self.file))
        self.subject, self.body = _message(self.file, text)
        self.globs = Globs(files.splitlines())

    @property
    def message(self):
        """The commit message."""
        return '%s\n\n%s' % (self.subject, self.body)


def patches():
    """All patches in order."""
    slugs = [s for s in _read('order').split('\n') if s and s[0] != '#']
    if len(set(slugs)) != len(slugs):
        raise Error('%s/order: a slug is there twice' % DIR)
    return [Patch(s) for s in slugs]


def cover():
    """Subject and text of the cover letter."""
    return _message('cover.txt', _read('cover.txt'))


def other():
    """Globs of what is not part of the series."""
    return Globs(_read('other').splitlines())


def claim(slug, paths):
    """Name and contents of SLUG.txt with more files claimed."""
    name = slug + '.txt'
    lines = _read(name).rstrip('\n').split('\n') + sorted(paths)
    return '%s/%s' % (DIR, name), '\n'.join(lines) + '\n'
