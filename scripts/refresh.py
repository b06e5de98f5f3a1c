#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/refresh.py [--series SLUG] [--force] [--into SLUG FILE...]

Carries what was edited in the kernel's work tree back to the repository: new
files as a whole, edits of the kernel's files to the .patch beside where they
land, deletions as such. Says what it has written.

  --series SLUG  new files, and first edits of a kernel file, belong to this
                 patch of the series, unless some patch claims them already
  --into SLUG    the edits of these FILEs (paths in the kernel) go to this
                 patch's section, which is made if there is none. Without it
                 they go to the last section of their .patch.
  --force        the work tree wins where the repository has changed as well,
                 or where its .patch is broken

New files are looked for where the series has some (see serieslib/worktree.py)
and carried if they look like source; elsewhere, git add -f them first. Copies
such as tools/include/uapi/linux/bpf.h are made from their originals.

Exit status 1, and lines "error: FILE: ...", if: no patch claims a file and
there is no --series; a file has changed both in the repository and in the work
tree since one was made of the other; an edit does not fit the section that it
should go to. Nothing is changed then.
"""
import argparse
import os

from serieslib import content, maintainers, manifest, udiff
from serieslib.util import (APPLIED, CACHE, IDENT, TOP, Error, git,
                            git_id, lock, need_base, rev, run, say, write_file)
from serieslib.worktree import changes, merge, snapshot


def numbers(path, old, new, tag):
    """Numbers of the lines that go from old (b'-') or come with new (b'+')."""
    text, found = udiff.make('x', path, old, new), set()
    for hunk in udiff.parse(path, text)[0].hunks if text else []:
        nr = hunk.old if tag == b'-' else hunk.new
        for t, _ in hunk.body:
            if t == tag:
                found.add(nr)
            nr += t in (b' ', tag)
    return found


class Refresh:
    """One run: what there is, and what is to be written."""

    def __init__(self, args):
        self.args = args
        self.patches = manifest.patches()
        self.slugs = [p.slug for p in self.patches]
        self.base = content.Base()
        self.broken = {}
        self.files = content.load(self.patches, self.base, self.broken)
        if self.broken and not args.force:
            raise Error(*[a for e in self.broken.values() for a in e.args])
        for slug in (args.series, args.into and args.into[0]):
            if slug and slug not in self.slugs:
                raise Error('no patch of the series is called "%s"' % slug)
        # {file of the repository: (contents or None, mode)}
        self.writes = {}
        self.claims = []

    # what to carry

    def differing(self, tree):
        """Paths whose contents in the work tree the repository lacks."""
        changed = changes(self.base.commit, tree)
        self.work = content.Base(tree)
        applied = content.Base(APPLIED if rev(APPLIED) else 'base')
        paths = set(changed) | set(self.files)
        for b in (self.base, self.work, applied):
            b.prefetch(paths)
        found, errors = [], []
        for path in sorted(paths - set(content.MIRRORS.values())):
            try:
                if self.wanted(path, applied):
                    found.append(path)
            except Error as e:
                errors += e.args
        if errors:
            raise Error(*errors)
        return found

    def in_repo(self, path):
        """(mode, contents) that the repository gives a file."""
        f = self.files.get(path)
        if f:
            return f.mode, f.data
        entry = self.base.entry(path)
        return entry and (entry[0], self.base.data(path))

    def wanted(self, path, applied):
        """Is a file to be carried? Fails if both sides have changed it."""
        def side(b):
            entry = b.entry(path)
            return entry and (entry[0], b.data(path))
        work, repo = side(self.work), self.in_repo(path)
        if content.patch_file(path) in self.broken:
            return work != side(self.base)
        if work == repo:
            return False
        if work == side(applied):
            say('%s: newer in the repository, left as it is' % path)
            return False
        if repo != side(applied) and not self.args.force:
            raise Error('%s: changed in the repository and in the work tree, '
                        'see --force' % path)
        return True

    # how to carry it

    def plan(self, path):
        """Plans what carries one file."""
        if not self.base.entry(path):
            self.plan_whole(path)
        elif not self.work.entry(path):
            raise Error('%s: a file of the kernel is deleted, which a .patch '
                        'cannot say' % path)
        elif self.work.entry(path)[0] != self.base.entry(path)[0]:
            raise Error('%s: the mode of a file of the kernel is changed, '
                        'which a .patch cannot say' % path)
        elif path == maintainers.FILE:
            self.plan_maintainers(path)
        else:
            self.plan_edit(path)

    def plan_claim(self, path):
        """A patch has to claim a file of the repository."""
        if any(p.globs.match(path) for p in self.patches):
            return
        if not self.args.series:
            raise Error('%s: no patch of the series claims it, use --series' %
                        path)
        self.claims.append(path)

    def plan_whole(self, path):
        entry = self.work.entry(path)
        if not entry:
            self.writes[path] = (None, 0)
            return
        self.plan_claim(path)
        self.writes[path] = (self.work.data(path),
                             0o755 if entry[0] == '100755' else 0o644)

    def plan_maintainers(self, path):
        data = self.work.data(path)
        if data == self.base.data(path):
            self.writes[path] = (None, 0)
            return
        self.plan_claim(path)
        self.writes[path] = (maintainers.extract(self.base.data(path), data),
                             0o644)

    def slug_for(self, path, states):
        """The section that an edit goes to."""
        if self.args.into and path in self.args.into[1:]:
            return self.args.into[0]
        if states:
            return states[-1][0]
        rel = content.patch_file(path)
        if rel in self.broken:
            text = content.read(rel)[1].decode(errors='replace')
            slugs = [s[8:] for s in text.splitlines()
                     if s.startswith('Series: ')]
            if len(slugs) != 1 or slugs[0] not in self.slugs:
                raise Error(*self.broken[rel].args)
            return slugs[0]
        if not self.args.series:
            raise Error('%s: no patch of the series claims its edit, use '
                        '--series' % path)
        return self.args.series

    def plan_edit(self, path):
        """Recomputes the sections of a .patch from the one that changes on."""
        rel, base = content.patch_file(path), self.base.data(path)
        states = list(self.files[path].states) if path in self.files else []
        old, new = self.in_repo(path)[1], self.work.data(path)
        slug = self.slug_for(path, states)
        text = b''
        if new != base:
            states = self.rebase(path, states, slug, old, new)
            before = base
            for s, data in states:
                text += udiff.make(s, path, before, data)
                before = data
        self.writes[rel] = (text or None, 0o644)

    def rebase(self, path, states, slug, old, new):
        """Contents after each section, with the edit from slug's on."""
        at = self.slugs.index(slug)
        first = [i for i, (s, _) in enumerate(states)
                 if self.slugs.index(s) >= at]
        pos = first[0] if first else len(states)
        if not first or states[pos][0] != slug:
            before = states[pos - 1][1] if pos else self.base.data(path)
            states.insert(pos, (slug, before))
        if pos and pos == len(states) - 1:
            self.check_last(path, states[pos - 1], old, new)
        out = states[:pos]
        for s, data in states[pos:-1]:
            data = merge(old, data, new)
            if data is None:
                raise Error('%s: the edit does not fit section "%s", as it '
                            'touches lines of a later one' % (path, s))
            out.append((s, data))
        return out + [(states[-1][0], new)]

    def check_last(self, path, before, old, new):
        """The last section must not rewrite what an earlier one adds."""
        if self.args.into and path in self.args.into[1:]:
            return
        slug, data = before
        added = numbers(path, self.base.data(path), data, b'+')
        hit = added & (numbers(path, data, new, b'-') -
                       numbers(path, data, old, b'-'))
        if hit:
            raise Error('%s: the edit changes what section "%s" adds: say '
                        '--into with that section, or with the last one to '
                        'have it there' % (path, slug))

    def write(self):
        """Does what was planned."""
        if self.claims:
            rel, data = manifest.claim(self.args.series, self.claims)
            self.writes[rel] = (data.encode(), 0o644)
        for rel, (data, mode) in sorted(self.writes.items()):
            path = os.path.join(TOP, rel)
            if data is None:
                if os.path.exists(path):
                    os.unlink(path)
                say('deleted ' + rel)
            else:
                write_file(path, data, mode)
                say('wrote ' + rel)

    def mirrors(self):
        """Says if a copy is not as its original would have it."""
        files = content.load(manifest.patches(), self.base)
        for path in content.MIRRORS.values():
            f = files.get(path)
            have = f.data if f else self.base.data(path)
            if self.work.data(path) != have:
                say('WARNING: %s is not as its original, scripts/tree.sh '
                    'makes it so' % path)


def main():
    """See the top of the file."""
    parser = argparse.ArgumentParser(usage=__doc__[7:])
    parser.add_argument('--series', metavar='SLUG')
    parser.add_argument('--force', action='store_true')
    parser.add_argument('--into', nargs='+', metavar=('SLUG', 'FILE'))
    args = parser.parse_args()
    need_base()
    held = lock('tree')
    refresh = Refresh(args)
    index = os.path.join(CACHE, 'refresh.index')
    try:
        tree = snapshot(index)
    finally:
        if os.path.exists(index):
            os.unlink(index)
    paths = refresh.differing(tree)
    for path in args.into[1:] if args.into else []:
        if path not in paths:
            raise Error('%s: it has no edit to carry' % path)
    errors = []
    for path in paths:
        try:
            refresh.plan(path)
        except Error as e:
            errors += e.args
    if errors:
        raise Error(*errors)
    refresh.write()
    commit = git_id('commit-tree', tree, '-p', rev('base'), env=IDENT,
                    data=b'Carried back to the repository\n')
    git('update-ref', APPLIED, commit)
    refresh.mirrors()
    if not paths:
        say('the repository has it all')
    held.close()
    return 0


if __name__ == '__main__':
    run(main)
