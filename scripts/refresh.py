#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/refresh.py [--force]

Carries the stack of commits base..HEAD of the kernel's work tree back to the
repository: the files as HEAD has them, and in scripts/series/ the order, the
messages and what each commit changes again. What is gone from the stack is
deleted. Says what it has written. Branch "series" then is the stack as
scripts/export.py makes it, so a second run has nothing to do.

A commit is the patch of scripts/series/ that has its subject. One that is new,
or has another subject now, gets its name from a line "Slug: NAME" of its
message, which is not carried, or else from the first words of its subject.

  --force  the work tree wins, also where the repository has changed since the
           work tree was made of it

Exit status 1, and lines "error: ...", if: the work tree has edits or new files
that are not committed; HEAD is on no branch, as in a rebase; the stack has
merges, empty commits, or such as git rebase --autosquash still has to put
together; the repository cannot hold what a commit changes; the repository has
changed since. Nothing is changed then.
"""
import argparse
import os
import re
import tempfile

from serieslib import maintainers, manifest, overlay, stack
from serieslib.overlay import COPIES, SERIES
from serieslib.util import (APPLIED, CACHE, Error, fail_if, git, git_id, lock,
                            need_base, rev, run, say)
from serieslib.worktree import snapshot

COVER = SERIES + '/cover.txt'


class Commit:
    """A commit of the stack."""

    def __init__(self, commit, parent):
        self.id, self.parent = commit, parent
        text = git('log', '-1', '--format=%B', commit).decode()
        self.slugs = re.findall(r'^Slug: *(.*?) *$', text, re.M)
        text = re.sub(r'^Slug:.*\n', '', text, flags=re.M).strip('\n')
        self.subject, _, body = text.partition('\n')
        self.message = '%s\n\n%s\n' % (self.subject, body.strip('\n'))
        self.slug = None

    def error(self, text):
        """A failure that names the commit."""
        return 'commit %s "%s": %s' % (self.id[:12], self.subject, text)

    def errors(self):
        """What is wrong with it."""
        if re.match(r'(fixup|squash|amend)! ', self.subject):
            yield self.error('run: git rebase -i --autosquash base')
        if not overlay.names(self.parent, self.id):
            yield self.error('it changes nothing')
        if len(self.slugs) > 1:
            yield self.error('more than one line "Slug:"')
        for slug in self.slugs:
            if not re.fullmatch(manifest.SLUG, slug):
                yield self.error('"%s" is no name of a patch' % slug)


def check_clean(head):
    """All there is in the work tree has to be committed."""
    if not git_id('symbolic-ref', '-q', 'HEAD', fails=True):
        raise Error('the work tree is on no branch: if a rebase is under way, '
                    'finish it, else: git checkout series')
    with tempfile.TemporaryDirectory(prefix='refresh.', dir=CACHE) as tmp:
        tree = snapshot(os.path.join(tmp, 'index'))
    paths = overlay.names(head, tree)
    fail_if(['%s: not committed in the work tree (git add -f takes new files)' %
             p for p in paths])


def read_stack(head):
    """The commits base..HEAD."""
    commits, last = [], rev('base^{commit}')
    lines = git('rev-list', '--reverse', '--topo-order', '--parents',
                'base..' + head).decode().splitlines()
    for line in lines:
        commit, *parents = line.split()
        if parents != [last]:
            raise Error('commit %s: the stack has to be linear, and begin at '
                        'base' % commit[:12])
        commits.append(Commit(commit, last))
        last = commit
    if not commits:
        raise Error('there is no commit on base, run: make tree')
    fail_if([e for c in commits for e in c.errors()])
    return commits


def from_subject(subject, taken):
    """A slug for a patch: three words behind the prefix."""
    words = re.findall(r'[a-z0-9]+', subject.rpartition(': ')[2].lower())
    slug = name = '-'.join(words[:3]) or 'patch'
    nr = 1
    while slug in taken or not re.fullmatch(manifest.SLUG, slug):
        nr += 1
        slug = '%s-%d' % (name, nr)
    return slug


def name_commits(commits, files):
    """Gives each commit its slug."""
    known = {data.decode().split('\n')[0]: rel[len(SERIES) + 1:-4]
             for rel, (_, data) in sorted(files.items())
             if rel.startswith(SERIES) and rel.endswith('.txt') and rel != COVER}
    for c in commits:
        c.slug = c.slugs[0] if c.slugs else known.get(c.subject)
    taken = {}
    for c in commits:
        c.slug = c.slug or from_subject(c.subject, set(taken) | {x.slug for x in commits})
        if c.slug in taken:
            raise Error(c.error('it would be patch "%s", as "%s" is' %
                                (c.slug, taken[c.slug].subject)))
        taken[c.slug] = c


def order(slugs, old):
    """Text of the file that has the order. Comments stay above their slug."""
    notes, above = {}, ''
    for line in old.splitlines(True):
        above += line
        if line[0] not in '#\n':
            notes[line.strip()], above = above, ''
    gone = [notes.pop(s).rpartition(s)[0] for s in list(notes) if s not in slugs]
    return ''.join(gone + [notes.get(s, s + '\n') for s in slugs]) + above


def edit_of(path, head, base):
    """(file of the repository, (mode, contents)) for a file of the series."""
    if path == maintainers.FILE:
        return path, ('100644', maintainers.extract(
            overlay.blob('base', path), overlay.blob(head, path)))
    if path in base:
        return overlay.patch_file(path), ('100644', overlay.diff('base', head, [path]))
    mode, _ = overlay.entries(head, [path])[path]
    return path, (mode, overlay.blob(head, path))


def compose(commits, files):
    """What the repository holds for these commits."""
    new = {r: f for r, f in files.items() if r == COVER}
    head, seen = commits[-1].id, set()
    for c in commits:
        changed = set(overlay.names(c.parent, c.id))
        text = c.message + '---\n' + ''.join(p + '\n' for p in sorted(changed - seen))
        new['%s/%s.txt' % (SERIES, c.slug)] = ('100644', text.encode())
        if changed & seen:
            new['%s/%s.diff' % (SERIES, c.slug)] = ('100644', overlay.diff(
                c.parent, c.id, sorted(changed & seen)))
        seen |= changed
    old = files.get(SERIES + '/order', (None, b''))[1].decode()
    new[SERIES + '/order'] = ('100644', order([c.slug for c in commits], old).encode())
    paths = overlay.names('base', head)
    base = overlay.entries('base', paths)
    copies = list(map(overlay.copy_of, COPIES))
    new.update(edit_of(p, head, base) for p in paths if p not in copies)
    fail_if(['%s: the repository cannot hold it' % rel for rel, (mode, _)
             in new.items() if not overlay.can_hold(rel, mode)])
    return new


def check(commits, new):
    """What is to be written has to make the same trees. Returns its commits."""
    made = stack.make(new, commits[-1].id)
    for c, (_, commit) in zip(commits, made):
        if overlay.names(c.id, commit):
            raise Error(c.error('it does not come back as it is'))
    return made


def check_repository(files):
    """The repository has to be what the work tree was made of."""
    try:
        tip = stack.make(files)[-1][1]
    except Error as e:
        raise Error(*e.args, 'the repository has changed and makes no series, '
                    'see --force') from None
    applied = rev(APPLIED)
    if tip == applied:
        return
    paths = overlay.names(applied, tip) if applied else []
    say('make tree takes what the repository has, and keeps the commits of the '
        'work tree below refs/saved/; --force takes those of the work tree')
    raise Error(*['%s: changed in the repository since the work tree was made '
                  'of it' % p for p in paths or [SERIES]])


def main():
    """See the top of the file."""
    parser = argparse.ArgumentParser(usage=__doc__[7:])
    parser.add_argument('--force', action='store_true')
    args = parser.parse_args()
    need_base()
    held = lock('tree'), lock('series')
    head = rev('HEAD')
    check_clean(head)
    commits = read_stack(head)
    files = overlay.read()
    if not args.force:
        check_repository(files)
    name_commits(commits, files)
    new = compose(commits, files)
    made = check(commits, new)
    lines = overlay.write(files, new)
    for line in lines or ['the repository has it all']:
        say(line)
    # the same trees, under the names that export.py gives them
    stack.save_refs(made, head)
    git('update-ref', APPLIED, made[-1][1])
    for f in held:
        f.close()
    return 0


if __name__ == '__main__':
    run(main)
