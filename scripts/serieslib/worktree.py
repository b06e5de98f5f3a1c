# SPDX-License-Identifier: GPL-2.0
"""The state of the kernel's work tree as a git tree, including our new files."""
import os
import re
import shutil

from .util import TREE, git, git_id

# folders whose own .gitignore lists the files that builds leave
TOOLS = ['tools/io_uring', 'tools/testing/selftests/io_uring_bpf']
# Folders to search for untracked files. Builds leave files in the work tree, and
# Debian's .gitignore hides new files among them.
FOLDERS = ['io_uring', 'include/linux', 'include/uapi', 'Documentation'] + TOOLS
_NAME = re.compile(r'(?!\.)(?!.*\.mod\.c$).*\.(c|h|S|rst|sh|py|txt|yaml)$|'
                   r'Makefile$|Kconfig$|Kbuild$|config$|settings$|README$|'
                   r'\.gitignore$')


def _built(folder):
    """Return the files that the folder's own .gitignore ignores."""
    top = os.path.join(TREE, folder)
    if not os.path.isdir(top):
        return set()
    out = git('--git-dir=' + os.path.join(TREE, '.git'), '--work-tree=.',
              'ls-files', '-z', '--others', '--ignored',
              '--exclude-per-directory=.gitignore', cwd=top,
              env={'GIT_INDEX_FILE': os.path.join(TREE, '.git/iou-bpf.none')})
    return {'%s/%s' % (folder, p) for p in out.decode().split('\0') if p}


def own_files(env):
    """Return new files of ours that are not in the index."""
    out = git('ls-files', '-z', '--others', '--', *FOLDERS, env=env)
    built = set().union(*map(_built, TOOLS))
    return [p for p in out.decode().split('\0') if p and p not in built
            and _NAME.match(os.path.basename(p))
            and not os.path.islink(os.path.join(TREE, p))]


def snapshot(index):
    """Write the state of the work tree to a new index file. Return the id of its tree.

    The work tree and its own index do not change.
    """
    # keep the time: git compares files by contents that are not older than the index
    shutil.copy2(os.path.join(TREE, '.git/index'), index)
    env = {'GIT_INDEX_FILE': index}
    # includes deletions of tracked files
    git('add', '-u', env=env)
    new = own_files(env)
    if new:
        git('update-index', '--add', '-z', '--stdin', env=env,
            data=b''.join(p.encode() + b'\0' for p in new))
    return git_id('write-tree', env=env)
