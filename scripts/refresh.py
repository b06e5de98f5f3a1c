#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/refresh.py [--force]

Updates the repository from the commits base..HEAD of the kernel's work tree: the files
as of HEAD, and in scripts/series/ the order, the messages, and the changes of each
commit to files that earlier commits touch. Deletes files that are not in the stack any
more. Prints the files that have changed. Branch "series" then is the stack as made by
scripts/export.py, so a second run changes nothing.

A commit is the patch of scripts/series/ with the same subject. A commit with a new
subject gets its name from a line "Slug: NAME" of its message, which is removed, or else
from the first words of its subject.

  --force  take the work tree even if the repository has changed since the work tree
           was made from it

Exit status 1, and lines "error: ...", if: the work tree has edits or new files that
are not committed; HEAD is on no branch, as during a rebase; the stack has merges, empty
commits, or commits for git rebase --autosquash; the repository cannot hold a change of
a commit; the repository has changed since. Nothing is changed in these cases.
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
        """Return an error message that names the commit."""
        return 'commit %s "%s": %s' % (self.id[:12], self.subject, text)

    def errors(self):
        """Yield error messages about the commit."""
        if re.match(r'(fixup|squash|amend)! ', self.subject):
            yield self.error('run: git rebase -i --autosquash base')
        if not overlay.names(self.parent, self.id):
            yield self.error('the commit is empty')
        if len(self.slugs) > 1:
            yield self.error('more than one line "Slug:"')
        for slug in self.slugs:
            if not re.fullmatch(manifest.SLUG, slug):
                yield self.error('"%s" is not a valid slug' % slug)


def check_clean(head):
    """Raise Error if the work tree has changes that are not committed."""
    if not git_id('symbolic-ref', '-q', 'HEAD', fails=True):
        raise Error('the work tree is on no branch: if a rebase is under way, '
                    'finish it, else: git checkout series')
    with tempfile.TemporaryDirectory(prefix='refresh.', dir=CACHE) as tmp:
        tree = snapshot(os.path.join(tmp, 'index'))
    paths = overlay.names(head, tree)
    fail_if(['%s: not committed in the work tree (git add -f takes new files)' %
             p for p in paths])


def read_stack(head):
    """Return the commits base..HEAD."""
    commits, last = [], rev('base^{commit}')
    lines = git('rev-list', '--reverse', '--topo-order', '--parents',
                'base..' + head).decode().splitlines()
    for line in lines:
        commit, *parents = line.split()
        if parents != [last]:
            raise Error('commit %s: the stack must be linear, and begin at '
                        'base' % commit[:12])
        commits.append(Commit(commit, last))
        last = commit
    if not commits:
        raise Error('there is no commit on base, run: make tree')
    fail_if([e for c in commits for e in c.errors()])
    return commits


def from_subject(subject, taken):
    """Return a slug for a patch: the first three words after the prefix."""
    words = re.findall(r'[a-z0-9]+', subject.rpartition(': ')[2].lower())
    slug = name = '-'.join(words[:3]) or 'patch'
    nr = 1
    while slug in taken or not re.fullmatch(manifest.SLUG, slug):
        nr += 1
        slug = '%s-%d' % (name, nr)
    return slug


def name_commits(commits, files):
    """Set the slug of each commit."""
    known = {data.decode().split('\n')[0]: rel[len(SERIES) + 1:-4]
             for rel, (_, data) in sorted(files.items())
             if rel.startswith(SERIES) and rel.endswith('.txt') and rel != COVER}
    for c in commits:
        c.slug = c.slugs[0] if c.slugs else known.get(c.subject)
    taken = {}
    for c in commits:
        c.slug = c.slug or from_subject(c.subject, set(taken) | {x.slug for x in commits})
        if c.slug in taken:
            raise Error(c.error('slug "%s" is already taken by "%s"' %
                                (c.slug, taken[c.slug].subject)))
        taken[c.slug] = c


def order(slugs, old):
    """Return the text of the file "order". Comments stay above their slug."""
    notes, above = {}, ''
    for line in old.splitlines(True):
        above += line
        if line[0] not in '#\n':
            notes[line.strip()], above = above, ''
    gone = [notes.pop(s).rpartition(s)[0] for s in list(notes) if s not in slugs]
    return ''.join(gone + [notes.get(s, s + '\n') for s in slugs]) + above


def edit_of(path, head, base):
    """Return (file of the repository, (mode, contents)) for a file of the series."""
    if path == maintainers.FILE:
        return path, ('100644', maintainers.extract(
            overlay.blob('base', path), overlay.blob(head, path)))
    if path in base:
        return overlay.patch_file(path), ('100644', overlay.diff('base', head, [path]))
    mode, _ = overlay.entries(head, [path])[path]
    return path, (mode, overlay.blob(head, path))


def compose(commits, files):
    """Return the files of the repository for these commits."""
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
    """Make the series from the new files, and compare its trees. Return its commits."""
    made = stack.make(new, commits[-1].id)
    for c, (_, commit) in zip(commits, made):
        if overlay.names(c.id, commit):
            raise Error(c.error('the repository does not reproduce it'))
    return made


def check_repository(files):
    """Raise Error if the repository is not what the work tree was made from."""
    try:
        tip = stack.make(files)[-1][1]
    except Error as e:
        raise Error(*e.args, 'the repository has changed and makes no series, '
                    'see --force') from None
    applied = rev(APPLIED)
    if tip == applied:
        return
    paths = overlay.names(applied, tip) if applied else []
    say('to take the repository, run make tree, which saves the commits of the work '
        'tree below refs/saved/; to take the work tree, use --force')
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
    for line in lines or ['the repository is up to date']:
        say(line)
    # the same trees, with the commit ids of export.py
    stack.save_refs(made, head)
    git('update-ref', APPLIED, made[-1][1])
    for f in held:
        f.close()
    return 0


if __name__ == '__main__':
    run(main)
