#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/tree.py

Applies the series to the kernel's work tree, as branch "series", with a commit for each
patch. Touches only files that differ, so that builds remain incremental. Edits and
commits that exist only in the work tree are saved below refs/saved/ first. Edit the
stack with git commit --fixup=... and git rebase -i --autosquash base, and carry it back
with scripts/refresh.py.

Exit status 1, and lines "error: ...", if: the repository makes no series, see
scripts/export.py; a rebase is under way; an untracked file is in the way. Nothing is
changed in these cases.
"""
import os
import sys
import tempfile
import time

from serieslib import overlay, stack
from serieslib.util import (APPLIED, CACHE, IDENT, TREE, Error, git, git_id, lock,
                            need_base, rev, run, say)
from serieslib.worktree import snapshot


def in_the_way(have, want):
    """Yield files that git would overwrite, because .gitignore hides most files."""
    paths = [p for p in overlay.names(have, want)
             if os.path.exists(os.path.join(TREE, p))]
    known, new = overlay.entries(have, paths), overlay.entries(want, paths)
    for path in sorted(set(new) - set(known)):
        with open(os.path.join(TREE, path), 'rb') as f:
            if f.read() != overlay.blob(want, path):
                yield path


def save(have, want, parent):
    """Save the state of the work tree as a commit."""
    ref = 'refs/saved/' + time.strftime('%Y%m%d-%H%M%S')
    commit = git_id('commit-tree', have, '-p', parent, env=IDENT,
                    data=b'Work tree before the series was put on it\n')
    git('update-ref', ref, commit, '')
    say('the work tree had edits that are not in the series, saved as %s:' % ref)
    print('\n'.join(overlay.names(want, have)[:20]), file=sys.stderr)
    say('to restore them: git -C %s checkout %s -- FILE' % (TREE, ref))


def put(want):
    """Switch the work tree to the wanted tree. Touch no other files."""
    with tempfile.TemporaryDirectory(prefix='tree.', dir=CACHE) as tmp:
        index = os.path.join(tmp, 'index')
        have = snapshot(index)
        blocked = ', '.join(in_the_way(have, want))
        if blocked:
            raise Error('in the way of the series, and not tracked by git: ' + blocked)
        # commits stay on a branch, or are saved by save_refs()
        head = rev('HEAD') if git_id('symbolic-ref', '-q', 'HEAD', fails=True) else 'base'
        if have not in [rev(c + '^{tree}') for c in (want, head, APPLIED)]:
            save(have, want, rev('HEAD'))
        git('read-tree', '-m', '-u', have, want, env={'GIT_INDEX_FILE': index})
        os.replace(index, os.path.join(TREE, '.git/index'))


def main():
    """See the top of the file."""
    if len(sys.argv) > 1:
        raise Error('usage: scripts/tree.py')
    need_base()
    held = lock('tree'), lock('series')
    if any(os.path.exists(os.path.join(TREE, '.git', d))
           for d in ('rebase-merge', 'rebase-apply')):
        raise Error('a rebase is under way in %s: finish it, or git rebase --abort' % TREE)
    commits = stack.make(overlay.read())
    tip = commits[-1][1]
    put(rev(tip + '^{tree}'))
    stack.save_refs(commits)
    git('symbolic-ref', 'HEAD', 'refs/heads/series')
    git('update-ref', APPLIED, tip)
    say('the work tree holds the series: %s, %d patches' %
        (commits[-1][0].subject, len(commits)))
    for f in held:
        f.close()
    return 0


if __name__ == '__main__':
    run(main)
