#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""usage: scripts/export.py [--verify]

Makes the series from the files of the repository: commits on top of the pristine
kernel, as branch "series" in the cache's git repository (and refs/patches/SLUG
for each), and patches for git am in build/series/. Prints the id of the last
commit. The same input gives the same commits and patches, byte for byte.

  --verify  check that git am of the patches gives the same tree

The repository holds the kernel's files as they are after the last patch, so
the stack is made from its end: see serieslib/stack.py, and serieslib/manifest.py
for the files in scripts/series/.

Exit status 1, and lines "error: FILE: ..." with the file of the repository, if: a
.patch differs from the output of git diff; a .diff does not apply in reverse to the
files after its patch; a file is listed by no patch, by two, or by one that does not
touch it; a whole file exists in the kernel, or an edited one does not; a message is
missing; the cover letter names an unknown patch; git am gives another tree. Nothing is
changed in these cases.
"""
import argparse
import os
import shutil
import tempfile

from serieslib import manifest, overlay, stack
from serieslib.util import (CACHE, TOP, TREE, Error, git, lock, need_base, rev,
                            run, say)


def write_cover(files, path):
    """Fill in the placeholders of git format-patch's cover letter."""
    subject, body = manifest.cover(files)
    with open(path, encoding='utf-8') as f:
        text = f.read()
    for room, fill in (('*** SUBJECT HERE ***', subject),
                       ('*** BLURB HERE ***', body.rstrip('\n'))):
        if text.count(room) != 1:
            raise Error('git format-patch made no cover letter as expected')
        text = text.replace(room, fill)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def write_patches(files, out, tip):
    """Write the patches to a new folder."""
    # full ids: the length of abbreviated ids depends on other objects
    git('format-patch', '-q', '--cover-letter', '--numbered', '--base=base',
        '--no-signature', '--full-index', '--no-renames', '--no-color',
        '--no-ext-diff', '--no-textconv', '--no-thread', '--stat=72',
        '-o', out, 'base..' + tip, env=stack.stamp(0))
    write_cover(files, os.path.join(out, '0000-cover-letter.patch'))


def verify(out, tip):
    """Apply the patches with git am, in a new repository, and compare the results."""
    say('giving the patches to git am')
    mails = sorted(f for f in os.listdir(out) if not f.startswith('0000-'))
    mails = [os.path.join(out, f) for f in mails]
    with tempfile.TemporaryDirectory(prefix='am.', dir=CACHE) as tmp:
        git('init', '-q', tmp)
        with open(os.path.join(tmp, '.git/objects/info/alternates'), 'w') as f:
            f.write(os.path.join(TREE, '.git/objects') + '\n')
        # check out only the files that the series touches, to save time
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
            '--committer-date-is-author-date', *mails, cwd=tmp, env=stack.stamp(0))
        for what, form in (('tree', '%T'), ('messages', '%B')):
            have = git('log', '--format=' + form, rev('base') + '..HEAD',
                       cwd=tmp)
            if have != git('log', '--format=' + form, 'base..' + tip):
                raise Error('build/series: git am gives another %s than the '
                            'series has' % what)


def replace(out, new):
    """Replace the old folder by the finished one."""
    shutil.rmtree(out, ignore_errors=True)
    os.rename(new, out)
    os.chmod(out, 0o755)


def main():
    """See the top of the file."""
    parser = argparse.ArgumentParser(usage=__doc__[7:])
    parser.add_argument('--verify', action='store_true')
    args = parser.parse_args()
    need_base()
    held = lock('series')
    files = overlay.read()
    commits = stack.make(files)
    tip = commits[-1][1]
    build = os.path.join(TOP, 'build')
    os.makedirs(build, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='series.', dir=build) as tmp:
        new = os.path.join(tmp, 'series')
        write_patches(files, new, tip)
        if args.verify:
            verify(new, tip)
        replace(os.path.join(build, 'series'), new)
    say('%d patches are in build/series' % len(commits))
    stack.save_refs(commits)
    held.close()
    print(tip)
    return 0


if __name__ == '__main__':
    run(main)
