# SPDX-License-Identifier: GPL-2.0
"""The series as a stack of commits on the kernel, made from its end.

The repository holds the last state of each file. The state before a patch is computed
by undoing the patch: its .diff is applied in reverse, and the files that it is the
first to touch are reset to those of the kernel.
"""
import os
import tempfile

from . import manifest, overlay
from .util import (CACHE, IDENT, Error, GitError, fail_if, git, git_id, rev, say)

# fixed, so that commit ids do not depend on the time
DATE = 1700000000
EXPORTED = 'refs/iou-bpf/exported'
HINT = ('edit files that several patches touch in the work tree: git commit '
        '--fixup, git rebase -i --autosquash base, then make refresh')


def stamp(nr):
    """Return the environment of the commit with this number."""
    date = '%d +0000' % (DATE + 60 * nr)
    return dict(IDENT, GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)


def _undo(index, patch):
    """Undo one patch."""
    if patch.diff:
        try:
            index.apply(patch.diff, '-R')
        except GitError as e:
            say(HINT)
            raise Error(*['%s: patch "%s" cannot be undone: %s' % (
                patch.rel, patch.slug, line) for line in overlay.complaints(e)]) from None
    was = overlay.entries('base', patch.paths)
    index.put({path: was.get(path) for path in patch.paths})


def _check(patch, old, new):
    """Return errors if a patch does not change exactly the files that it lists."""
    changed = overlay.names(old, new)
    errors = ['%s: the patch does not touch %s' % (patch.txt, path)
              for path in sorted(set(patch.paths) - set(changed))]
    again = sorted(set(changed) - set(patch.paths))
    if not errors and overlay.difference(
            patch.diff, overlay.diff(old, new, again) if again else b'')[0]:
        say('WARNING: %s: it applies, but make refresh would write it differently'
            % patch.rel)
    return errors


def _trees(files, patches, path, want):
    """Return the trees after each patch."""
    index = overlay.Index(path, 'base')
    trees = [overlay.make(files, index)]
    fail_if(['%s: the repository would make another file: a copy must equal its '
             'original' % f for f in overlay.names(trees[0], want or trees[0])])
    listed = {f for p in patches for f in p.paths}
    fail_if(['%s: no patch is the first to touch it, see %s/*.txt' % (
        rel if rel in files else path, overlay.SERIES)
             for path in overlay.names('base', trees[0]) if path not in listed
             for rel in [overlay.patch_file(path)]])
    for patch in reversed(patches):
        _undo(index, patch)
        trees.insert(0, index.tree())
    fail_if(['%s: with all patches undone, it differs from the kernel' %
             f for f in overlay.names('base', trees[0])])
    fail_if([e for nr, patch in enumerate(patches)
             for e in _check(patch, *trees[nr:nr + 2])])
    return trees[1:]


def make(files, want=None):
    """Make commits from the files of the repository. Return [(patch, id)].

    want: the tree that the commits have to end with
    """
    patches = manifest.patches(files)
    with tempfile.TemporaryDirectory(prefix='series.', dir=CACHE) as tmp:
        trees = _trees(files, patches, os.path.join(tmp, 'index'), want)
    commits, parent = [], rev('base^{commit}')
    for nr, (patch, tree) in enumerate(zip(patches, trees), 1):
        parent = git_id('commit-tree', tree, '-p', parent, env=stamp(nr),
                        data=patch.message.encode())
        commits.append((patch, parent))
    return commits


def save_refs(commits, carried=None):
    """Update the refs to the commits, and save commits that others made."""
    old, tip = rev('refs/heads/series'), commits[-1][1]
    if old and old not in (tip, rev(EXPORTED), carried):
        git('update-ref', 'refs/saved/series-' + old[:12], old)
        say('branch series was changed by hand, it is saved as '
            'refs/saved/series-' + old[:12])
    lines = ['delete ' + ref for ref in git(
        'for-each-ref', '--format=%(refname)', 'refs/patches').decode().split()
             if ref[13:] not in {p.slug for p, _ in commits}]
    lines += ['update refs/patches/%s %s' % (p.slug, c) for p, c in commits]
    lines += ['update refs/heads/series ' + tip, 'update %s %s' % (EXPORTED, tip)]
    git('update-ref', '--stdin', data='\n'.join(lines).encode() + b'\n')
