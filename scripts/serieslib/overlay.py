# SPDX-License-Identifier: GPL-2.0
"""The repository's files, and the kernel tree made from them.

A new file of the kernel is stored as a whole, at its path. An edit of an existing file
is stored as FILE.patch: the output of git diff without the "index" lines, which would
change with every other edit. Of MAINTAINERS, only our stanza is stored.
"""
import os
import re
import stat
import tempfile

from . import figures, maintainers
from .util import (TOP, Error, GitError, fail_if, git, hash_object, write_file)

SERIES = 'scripts/series'
# files with a copy in this folder of the kernel, which gets the same edits
COPIES = {'include/uapi/linux/bpf.h': 'tools'}
# .patch files that are not at the path of their kernel file
MOVED = {'Kconfig.patch': 'io_uring/Kconfig'}
# paths of the repository that are not part of the series: also hidden files at the top
# and leftovers of editors
_OTHER = re.compile(r'\.|(Makefile|README|COPYING|LICENSE.*)$|(build|liburing|scripts)/|'
                    r'(.*/)?__pycache__/|.*(~|\.swp|\.orig|\.rej)$')


def patch_file(path):
    """Return the .patch file that edits a file of the kernel."""
    return {v: k for k, v in MOVED.items()}.get(path, path + '.patch')


def kernel_file(rel):
    """Return the file of the kernel that a .patch file edits."""
    return MOVED.get(rel) or rel[:-len('.patch')]


def copy_of(path):
    """Return the copy that the kernel keeps of a file."""
    return os.path.join(COPIES[path], path)


def can_hold(rel, mode):
    """Return true if a file of the repository would belong to the series."""
    return mode in ('100644', '100755') and (rel.startswith(SERIES + '/') or
                                             not _OTHER.match(rel))


def _read(rel):
    path = os.path.join(TOP, rel)
    st = os.lstat(path)
    if not stat.S_ISREG(st.st_mode):
        raise Error('%s: it is not a regular file' % rel)
    with open(path, 'rb') as f:
        return '100755' if st.st_mode & 0o100 else '100644', f.read()


def stored():
    """Return {file of the repository: (mode, contents)} for all files of the series."""
    found = {}
    for folder, dirs, files in os.walk(TOP):
        rel = os.path.relpath(folder, TOP) + '/'
        rel = '' if rel == './' else rel
        dirs[:] = [d for d in dirs if not _OTHER.match(rel + d + '/')]
        found.update((rel + f, _read(rel + f)) for f in files if not _OTHER.match(rel + f))
    for name in os.listdir(os.path.join(TOP, SERIES)):
        if re.search(r'^order$|\.(txt|diff)$', name):
            found[SERIES + '/' + name] = _read(SERIES + '/' + name)
    return found


def read():
    """Return the same with the recorded figures."""
    return figures.filled(stored())


def write(old, new):
    """Replace one set of files by another. Return a line for each change."""
    changed = sorted(r for r in set(old) | set(new) if old.get(r) != new.get(r))
    # write all files before replacing the first one
    with tempfile.TemporaryDirectory(prefix='.refresh.', dir=TOP) as tmp:
        for rel in filter(new.get, changed):
            mode, data = new[rel]
            write_file(os.path.join(tmp, rel), data, int(mode[-3:], 8))
        for rel in changed:
            path = os.path.join(TOP, rel)
            if rel in new:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.replace(os.path.join(tmp, rel), path)
            else:
                os.unlink(path)
    return [('wrote ' if r in new else 'deleted ') + r for r in changed]


def names(old, new, *paths):
    """Return the paths that differ between two trees."""
    out = git('--literal-pathspecs', 'diff-tree', '-r', '-z', '--no-renames',
              '--name-only', old, new, '--', *paths)
    return out.decode().split('\0')[:-1]


def diff(old, new, paths):
    """Return the text of a .patch or .diff for these files."""
    text = git('--literal-pathspecs', 'diff-tree', '-p', '-U3', '--no-renames',
               '--no-color', '--no-ext-diff', '--no-textconv', old, new, '--', *paths)
    if re.search(rb'^Binary files ', text, re.M):
        raise Error('%s: an edit of a binary file' % ', '.join(paths))
    return re.sub(rb'^index .*\n', b'', text, flags=re.M)


def difference(have, want):
    """Return (number, line of want) of the first difference, or (0, '').

    The function name of a hunk is ignored: it depends on the version of git.
    """
    have, want = ([re.sub(rb'^(@@ .*? @@).*', rb'\1', line) for line in
                   text.split(b'\n')] for text in (have, want))
    for nr, line in enumerate(want):
        if have[nr:nr + 1] != [line]:
            return nr + 1, line.decode(errors='replace')
    return (0, '') if len(have) == len(want) else (len(want), '')


def entries(tree, paths):
    """Return {path: (mode, blob)} for those of the paths that are files in a tree."""
    out = git('--literal-pathspecs', 'ls-tree', '-z', tree, '--', *paths) if paths else b''
    found = {}
    for entry in out.decode().split('\0')[:-1]:
        info, path = entry.split('\t', 1)
        mode, kind, blob = info.split()
        if kind != 'tree':
            found[path] = (mode, blob)
    return found


def blob(tree, path):
    """Return the contents of a file of a tree."""
    return git('cat-file', 'blob', '%s:%s' % (tree, path))


class Index:
    """A temporary index."""

    def __init__(self, path, tree):
        self.env = {'GIT_INDEX_FILE': path}
        git('read-tree', tree, env=self.env)

    def tree(self):
        """Write the index as a tree, and return its id."""
        return git('write-tree', env=self.env).decode().strip()

    def put(self, files):
        """Add files, {path: (mode, blob)}, or remove them: {path: None}."""
        info = ''.join('%s %s\t%s\0' % ((f or ('0', '0' * 40)) + (path,))
                       for path, f in files.items())
        git('update-index', '-z', '--add', '--index-info', env=self.env, data=info.encode())

    def apply(self, text, *options):
        """Apply a diff."""
        git('apply', '--cached', '--whitespace=nowarn', *options, env=self.env, data=text)


def complaints(e):
    """Return the errors of git apply, reworded where they are hard to understand."""
    out = []
    for line in e.lines:
        line = re.sub(r'^(error|fatal): ', '', line)
        m = re.match(r'patch failed: (.*):(\d+)$', line)
        if m:
            line = '%s: the hunk of line %s does not fit' % m.groups()
        if not line.endswith(': patch does not apply'):
            out.append(line)
    return out


def _apply(files, index, rel, *options):
    """Apply one .patch. Return error messages."""
    try:
        index.apply(files[rel][1], *options)
    except GitError as e:
        return ['%s: it does not apply: %s' % (rel, line) for line in complaints(e)]
    return []


def _check_exact(rel, data, tree):
    """Yield an error if a .patch is not the exact output of git diff."""
    want = diff('base', tree, [kernel_file(rel)])
    nr, line = difference(data, want)
    if not want:
        yield '%s: it changes nothing in %s' % (rel, kernel_file(rel))
    elif nr:
        yield '%s:%d: it applies, but git diff has "%s" there' % (rel, nr, line)


def make(files, index):
    """Add the files of the repository to an index that holds base.

    Return the tree, which is the last one of the series.
    """
    files = {r: f for r, f in files.items() if not r.startswith(SERIES + '/')}
    edits = sorted(r for r in files if r.endswith('.patch'))
    whole = sorted(set(files) - set(edits))
    base = entries('base', whole + [kernel_file(r) for r in edits])
    fail_if(['%s: the kernel has this file, an edit of it belongs in %s' %
             (r, patch_file(r)) for r in whole if r in base and r != maintainers.FILE] +
            ['%s: the kernel has no file %s to edit' % (r, kernel_file(r))
             for r in edits if kernel_file(r) not in base])
    if maintainers.FILE in files:
        mode, stanza = files[maintainers.FILE]
        files[maintainers.FILE] = mode, maintainers.insert(
            blob('base', maintainers.FILE), stanza)
    index.put({r: (files[r][0], hash_object(files[r][1])) for r in whole})
    try:
        # all at once is faster
        index.apply(b''.join(files[r][1] for r in edits))
    except GitError:
        fail_if([e for r in edits for e in _apply(files, index, r)])
    fail_if([e for path, folder in COPIES.items() if patch_file(path) in files
             for e in _apply(files, index, patch_file(path), '--directory=' + folder)])
    tree = index.tree()
    fail_if([e for r in edits for e in _check_exact(r, files[r][1], tree)])
    return tree
