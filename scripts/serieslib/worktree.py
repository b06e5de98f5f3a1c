# SPDX-License-Identifier: GPL-2.0
"""The kernel's work tree as a git tree, with our new files in it."""
import os
import re
import shutil

from .util import TREE, git, git_id

# where a .gitignore of ours names what builds leave
TOOLS = ['tools/io_uring', 'tools/testing/selftests/io_uring_bpf']
# Where new files are looked for that git wasn't told of. Builds leave things
# in the work tree, and Debian's .gitignore hides new files among them.
FOLDERS = ['io_uring', 'include/linux', 'include/uapi', 'Documentation'] + TOOLS
_NAME = re.compile(r'(?!\.)(?!.*\.mod\.c$).*\.(c|h|S|rst|sh|py|txt|yaml)$|'
                   r'Makefile$|Kconfig$|Kbuild$|config$|settings$|README$|'
                   r'\.gitignore$')


def _built(folder):
    """What the folder's own .gitignore names, without the kernel's."""
    top = os.path.join(TREE, folder)
    if not os.path.isdir(top):
        return set()
    out = git('--git-dir=' + os.path.join(TREE, '.git'), '--work-tree=.',
              'ls-files', '-z', '--others', '--ignored',
              '--exclude-per-directory=.gitignore', cwd=top,
              env={'GIT_INDEX_FILE': os.path.join(TREE, '.git/iou-bpf.none')})
    return {'%s/%s' % (folder, p) for p in out.decode().split('\0') if p}


def own_files(env):
    """New files of ours that the index doesn't have."""
    out = git('ls-files', '-z', '--others', '--', *FOLDERS, env=env)
    built = set().union(*map(_built, TOOLS))
    return [p for p in out.decode().split('\0') if p and p not in built
            and _NAME.match(os.path.basename(p))
            and not os.path.islink(os.path.join(TREE, p))]


def snapshot(index):
    """Writes an index file of all there is, returns the id of its tree.

    The work tree and its own index stay as they are.
    """
    # with its time, by which git tells what it has to compare by contents
    shutil.copy2(os.path.join(TREE, '.git/index'), index)
    env = {'GIT_INDEX_FILE': index}
    # a file that git was told of, and that is gone, is gone here as well
    git('add', '-u', env=env)
    new = own_files(env)
    if new:
        git('update-index', '--add', '-z', '--stdin', env=env,
            data=b''.join(p.encode() + b'\0' for p in new))
    return git_id('write-tree', env=env)
