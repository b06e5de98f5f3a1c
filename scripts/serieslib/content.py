# SPDX-License-Identifier: GPL-2.0
"""What the repository makes of the kernel's files, patch by patch."""
import os
import stat

from . import maintainers, manifest, udiff
from .util import TOP, Error, git

# copies that the kernel keeps, edited as their originals are
MIRRORS = {'include/uapi/linux/bpf.h': 'tools/include/uapi/linux/bpf.h'}
# edits that are not beside where they land
MOVED = {'Kconfig.patch': 'io_uring/Kconfig'}


def patch_file(path):
    """The .patch file that edits this file of the kernel."""
    for name, moved in MOVED.items():
        if moved == path:
            return name
    return path + '.patch'


def kernel_file(rel):
    """The file of the kernel that a .patch file edits."""
    return MOVED.get(rel) or rel[:-len('.patch')]


class Base:
    """The pristine kernel, or what else a commit holds."""

    def __init__(self, commit='base'):
        self.commit, self.known, self.blobs = commit, {}, {}

    def prefetch(self, paths):
        """Looks several files up at once."""
        todo = [p for p in set(paths) if p not in self.known]
        self.known.update((p, None) for p in todo)
        out = git('--literal-pathspecs', 'ls-tree', '-z', self.commit, '--',
                  *todo) if todo else b''
        for entry in out.decode().split('\0')[:-1]:
            info, path = entry.split('\t', 1)
            mode, kind, blob = info.split()
            if kind == 'blob':
                self.known[path] = (mode, blob)

    def entry(self, path):
        """(mode, blob) of a file, or None."""
        self.prefetch([path])
        return self.known[path]

    def data(self, path):
        """Contents of a file, or None."""
        entry = self.entry(path)
        if entry and entry[1] not in self.blobs:
            self.blobs[entry[1]] = git('cat-file', 'blob', entry[1])
        return self.blobs[entry[1]] if entry else None


class File:
    """A file of the series. states: [(slug, contents after that patch)]."""

    def __init__(self, rel, path, mode, states):
        self.rel, self.path, self.mode, self.states = rel, path, mode, states

    @property
    def data(self):
        """Contents at the end of the series."""
        return self.states[-1][1]


def repo_files():
    """Files of the repository that are part of the series."""
    other, found = manifest.other(), []
    for folder, dirs, files in os.walk(TOP):
        rel = os.path.relpath(folder, TOP) + '/'
        rel = '' if rel == './' else rel
        dirs[:] = sorted(d for d in dirs if not other.match(rel + d + '/'))
        found += [rel + f for f in files if not other.match(rel + f)]
    return sorted(found)


def read(rel):
    """(mode, contents) of a file of the repository."""
    path = os.path.join(TOP, rel)
    st = os.lstat(path)
    if not stat.S_ISREG(st.st_mode):
        raise Error('%s: it is not a regular file' % rel)
    with open(path, 'rb') as f:
        return '100755' if st.st_mode & 0o100 else '100644', f.read()


def _slug_of_whole(rel, patches):
    claims = [p.slug for p in patches if p.globs.match(rel)]
    if not claims:
        raise Error('%s: no patch of the series claims it, see %s' %
                    (rel, manifest.DIR))
    if len(claims) > 1:
        raise Error('%s: more than one patch claims it: %s' %
                    (rel, ', '.join(claims)))
    return claims[0]


def _whole(rel, patches, base):
    mode, data = read(rel)
    slug = _slug_of_whole(rel, patches)
    if rel == maintainers.FILE:
        entry = base.entry(rel)
        if not entry:
            raise Error('%s: the kernel has no such file' % rel)
        data = maintainers.insert(base.data(rel), data)
        return [File(rel, rel, entry[0], [(slug, data)])]
    if base.entry(rel):
        raise Error('%s: the kernel has this file, an edit of it belongs in %s'
                    % (rel, patch_file(rel)))
    return [File(rel, rel, mode, [(slug, data)])]


def sections_of(rel, patches):
    """Sections of a .patch file, each with a patch to belong to."""
    order = [p.slug for p in patches]
    sections = udiff.parse(rel, read(rel)[1])
    path = kernel_file(rel)
    last = -1
    for s in sections:
        if s.path != path:
            raise Error('%s: it edits %s, not %s' % (rel, s.path, path))
        if s.slug not in order:
            raise Error('%s: no patch of the series is called "%s"' %
                        (rel, s.slug))
        if order.index(s.slug) == last:
            raise Error('%s: two sections belong to "%s"' % (rel, s.slug))
        if order.index(s.slug) < last:
            raise Error('%s: section "%s" is not in the order of the series' %
                        (rel, s.slug))
        last = order.index(s.slug)
    for p in patches:
        if p.globs.match(rel):
            raise Error('%s: more than one patch claims it: %s by name, and %s '
                        'in its sections' % (rel, p.slug, ', '.join(
                            s.slug for s in sections)))
    return sections


def _edit(rel, patches, base):
    sections = sections_of(rel, patches)
    path = kernel_file(rel)
    files = []
    for target in filter(None, [path, MIRRORS.get(path)]):
        entry = base.entry(target)
        if not entry:
            raise Error('%s: the kernel has no file %s to edit' % (rel, target))
        data, states = base.data(target), []
        for s in sections:
            data = udiff.apply(rel, s, data)
            states.append((s.slug, data))
        files.append(File(rel, target, entry[0], states))
    return files


def load(patches, base, broken=None):
    """{path: File} of the whole series.

    Raises one Error with the failures of all files; with a dictionary in
    broken, they go there: {file of the repository: Error}.
    """
    rels = repo_files()
    base.prefetch(kernel_file(r) if r.endswith('.patch') else r for r in rels)
    files, errors = {}, {}
    for rel in rels:
        try:
            how = _edit if rel.endswith('.patch') else _whole
            for f in how(rel, patches, base):
                if f.path in files:
                    raise Error('%s: %s makes the same file of the kernel' %
                                (rel, files[f.path].rel))
                files[f.path] = f
        except Error as e:
            errors[rel] = e
    if broken is not None:
        broken.update(errors)
    elif errors:
        raise Error(*[a for e in errors.values() for a in e.args])
    return files
