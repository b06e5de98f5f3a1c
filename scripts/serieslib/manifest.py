# SPDX-License-Identifier: GPL-2.0
"""Description of the series: scripts/series/.

  order       slugs of the patches, in order; # starts a comment
  SLUG.txt    subject, empty line, message, then a line "---" and below it the
              files that no earlier patch of the series touches, one per line
  SLUG.diff   changes to files that earlier patches touch, if any
  cover.txt   subject, empty line, text of the cover letter, where {SLUG} is replaced
              by the number of that patch
"""
import re

from .overlay import SERIES
from .util import Error, fail_if

SLUG = r'(?!cover$)[a-z0-9][a-z0-9-]*'

def _text(files, name):
    try:
        return files['%s/%s' % (SERIES, name)][1].decode()
    except KeyError:
        raise Error('%s/%s: no such file' % (SERIES, name)) from None
    except UnicodeDecodeError:
        raise Error('%s/%s: not UTF-8' % (SERIES, name)) from None


def _message(name, text):
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise Error('%s/%s: no subject in its first line' % (SERIES, name))
    if len(lines) < 3 or lines[1]:
        raise Error('%s/%s: no empty line and text below the subject' % (SERIES, name))
    for nr, line in enumerate(lines, 1):
        # git am would end the message at such a line
        if re.match(r'(---|diff -|Index: )', line):
            raise Error('%s/%s:%d: "%s" would end the message' % (SERIES, name, nr, line))
    return lines[0], '\n'.join(lines[2:]).strip('\n') + '\n'


class Patch:
    """One patch of the series. paths: the files that it is the first to touch."""

    def __init__(self, files, slug):
        self.slug = slug
        self.txt = '%s/%s.txt' % (SERIES, slug)
        self.rel = '%s/%s.diff' % (SERIES, slug)
        text, found, paths = _text(files, slug + '.txt').partition('\n---\n')
        if not found:
            raise Error('%s: no line "---" and list of files' % self.txt)
        self.subject, self.body = _message(slug + '.txt', text)
        self.paths = paths.split()
        self.diff = files.get(self.rel, (None, b''))[1]
        if not self.paths and not self.diff:
            raise Error('%s: the patch touches nothing' % self.txt)

    @property
    def message(self):
        """Return the commit message."""
        return '%s\n\n%s' % (self.subject, self.body)


def _errors(files, slugs):
    """Yield errors about files of scripts/series/ that belong to no patch."""
    for rel in sorted(files):
        name, _, end = rel[len(SERIES) + 1:].rpartition('.')
        if (rel.startswith(SERIES) and end in ('txt', 'diff') and
                name not in slugs + ['cover']):
            yield '%s: no patch "%s" is in %s/order' % (rel, name, SERIES)


def patches(files):
    """Return the patches of the series, in order."""
    slugs = [s for s in _text(files, 'order').split('\n') if s and s[0] != '#']
    errors = list(_errors(files, slugs))
    errors += ['%s/order: "%s" is not a valid slug' % (SERIES, s)
               for s in slugs if not re.fullmatch(SLUG, s)]
    if len(set(slugs)) != len(slugs):
        errors.append('%s/order: a slug is listed twice' % SERIES)
    if not slugs:
        errors.append('%s/order: the series is empty' % SERIES)
    found, owner = [], {}
    for slug in slugs:
        try:
            found.append(Patch(files, slug))
            for path in found[-1].paths:
                if owner.setdefault(path, slug) != slug:
                    errors.append('%s: patch "%s" lists %s as well' % (
                        found[-1].txt, owner[path], path))
        except Error as e:
            errors += e.args
    fail_if(errors)
    return found


def cover(files):
    """Return the subject and the text of the cover letter."""
    numbers = {p.slug: nr for nr, p in enumerate(patches(files), 1)}

    def number(match):
        if match[1] not in numbers:
            raise Error('%s/cover.txt: no patch "%s" is in %s/order' %
                        (SERIES, match[1], SERIES))
        return str(numbers[match[1]])
    subject, body = _message('cover.txt', _text(files, 'cover.txt'))
    return subject, re.sub('{(%s)}' % SLUG, number, body)
