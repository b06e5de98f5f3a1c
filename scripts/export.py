#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/export.py [--upto SLUG] [--commits-only | --verify]

Makes the series of what the repository holds: commits on top of the pristine
kernel, as branch "series" in the cache's git repository (and refs/patches/SLUG
for each), and patches for git am in build/series/. Prints the id of the last
commit. The same input gives the same commits and patches, byte for byte.

  --upto SLUG      the series ends with this patch
  --commits-only   no patches
  --verify         prove that git am of the patches gives the same tree

Exit status 1, and lines "error: FILE: ..." that name the file of the
repository, if: a hunk is malformed, or does not apply at exactly its line with
exactly its context; a file or section is claimed by no patch, or by two; a
slug is unknown; a whole file is in the kernel already, or an edited one is
not; git am gives another tree. Nothing is changed then.
"""
import argparse
import os
import shutil
import tempfile

from serieslib import content, manifest
from serieslib.util import (CACHE, IDENT, TOP, TREE, Error, git, git_id,
                            hash_object, lock, need_base, rev, run, say)

# fixed: the date of a patch must not make a difference
DATE = 1700000000
EXPORTED = 'refs/iou-bpf/exported'


def stamp(nr):
    """Environment of the commit with this number."""
    date = '%d +0000' % (DATE + 60 * nr)
    return dict(IDENT, GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)


def commit_patches(patches, files):
    """Makes the commits, returns [(patch, id)]."""
    commits, parent = [], rev('base^{commit}')
    with tempfile.TemporaryDirectory(prefix='series.', dir=CACHE) as tmp:
        env = {'GIT_INDEX_FILE': os.path.join(tmp, 'index')}
        git('read-tree', 'base', env=env)
        for nr, patch in enumerate(patches, 1):
            info = ''.join('%s %s\t%s\n' % (f.mode, hash_object(data), path)
                           for path, f in sorted(files.items())
                           for slug, data in f.states if slug == patch.slug)
            if not info:
                say('WARNING: patch "%s" is empty and left out' % patch.slug)
                continue
            git('update-index', '--add', '--index-info', env=env,
                data=info.encode())
            tree = git_id('write-tree', env=env)
            parent = git_id('commit-tree', tree, '-p', parent, env=stamp(nr),
                            data=patch.message.encode())
            commits.append((patch, parent))
    if not commits:
        raise Error('%s: the series is empty' % manifest.DIR)
    return commits


def save_refs(commits):
    """Points the refs to the commits, and keeps those that others made."""
    old, tip = rev('refs/heads/series'), commits[-1][1]
    if old and old not in (tip, rev(EXPORTED)):
        git('update-ref', 'refs/saved/series-' + old[:12], old)
        say('branch series was changed by hand, it is kept as '
            'refs/saved/series-' + old[:12])
    lines = ['delete ' + ref for ref in git(
        'for-each-ref', '--format=%(refname)', 'refs/patches').decode().split()
             if ref[13:] not in {p.slug for p, _ in commits}]
    lines += ['update refs/patches/%s %s' % (p.slug, c) for p, c in commits]
    lines += ['update refs/heads/series ' + tip, 'update %s %s' %
              (EXPORTED, tip)]
    git('update-ref', '--stdin', data='\n'.join(lines).encode() + b'\n')


def write_cover(path):
    """Puts our text where git leaves room for it."""
    subject, body = manifest.cover()
    with open(path, encoding='utf-8') as f:
        text = f.read()
    for room, fill in (('*** SUBJECT HERE ***', subject),
                       ('*** BLURB HERE ***', body.rstrip('\n'))):
        if text.count(room) != 1:
            raise Error('git format-patch made no cover letter as expected')
        text = text.replace(room, fill)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def write_patches(out, tip):
    """Writes the patches to a new folder."""
    # full ids: how far they are cut depends on what else is in the repository
    git('format-patch', '-q', '--cover-letter', '--numbered', '--base=base',
        '--no-signature', '--full-index', '--no-renames', '--no-color',
        '--no-ext-diff', '--no-textconv', '--no-thread', '--stat=72',
        '-o', out, 'base..' + tip, env=stamp(0))
    write_cover(os.path.join(out, '0000-cover-letter.patch'))


def verify(out, tip):
    """Gives the patches to git am, in a repository of its own."""
    say('giving the patches to git am')
    mails = sorted(f for f in os.listdir(out) if not f.startswith('0000-'))
    mails = [os.path.join(out, f) for f in mails]
    with tempfile.TemporaryDirectory(prefix='am.', dir=CACHE) as tmp:
        git('init', '-q', tmp)
        with open(os.path.join(tmp, '.git/objects/info/alternates'), 'w') as f:
            f.write(os.path.join(TREE, '.git/objects') + '\n')
        # a work tree with only the files that are touched takes no time
        git('config', 'core.sparseCheckout', 'true', cwd=tmp)
        git('config', 'core.sparseCheckoutCone', 'false', cwd=tmp)
        paths = git('diff-tree', '-r', '--name-only', '--no-renames', 'base',
                    tip).decode().splitlines()
        os.makedirs(os.path.join(tmp, '.git/info'), exist_ok=True)
        with open(os.path.join(tmp, '.git/info/sparse-checkout'), 'w') as f:
            f.write(''.join('/%s\n' % p for p in paths))
        git('update-ref', '--no-deref', 'HEAD', rev('base'), cwd=tmp)
        git('read-tree', '-m', '-u', 'HEAD', cwd=tmp)
        git('am', '-q', '--no-3way', '--whitespace=nowarn',
            '--committer-date-is-author-date', *mails, cwd=tmp, env=stamp(0))
        for what, form in (('tree', '%T'), ('messages', '%B')):
            have = git('log', '--format=' + form, rev('base') + '..HEAD',
                       cwd=tmp)
            if have != git('log', '--format=' + form, 'base..' + tip):
                raise Error('build/series: git am gives another %s than the '
                            'series has' % what)


def replace(out, new):
    """Puts the finished folder in place of the old one."""
    shutil.rmtree(out, ignore_errors=True)
    os.rename(new, out)
    os.chmod(out, 0o755)


def main():
    """See the top of the file."""
    parser = argparse.ArgumentParser(usage=__doc__[7:])
    parser.add_argument('--upto')
    parser.add_argument('--commits-only', action='store_true')
    parser.add_argument('--verify', action='store_true')
    args = parser.parse_args()
    need_base()
    held = lock('series')
    patches = manifest.patches()
    files = content.load(patches, content.Base())
    if args.upto:
        slugs = [p.slug for p in patches]
        if args.upto not in slugs:
            raise Error('no patch of the series is called "%s"' % args.upto)
        patches = patches[:slugs.index(args.upto) + 1]
    commits = commit_patches(patches, files)
    tip = commits[-1][1]
    if not args.commits_only:
        build = os.path.join(TOP, 'build')
        os.makedirs(build, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix='series.', dir=build) as tmp:
            new = os.path.join(tmp, 'series')
            write_patches(new, tip)
            if args.verify:
                verify(new, tip)
            replace(os.path.join(build, 'series'), new)
        say('%d patches are in build/series' % len(commits))
    save_refs(commits)
    held.close()
    print(tip)
    return 0


if __name__ == '__main__':
    run(main)
