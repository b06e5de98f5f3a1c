# SPDX-License-Identifier: GPL-2.0
"""Paths, messages, and git.

Environment:
  IOU_BPF_CACHE  see scripts/lib.sh; the kernel is in its folder "linux"
  IOU_BPF_TOP    the repository (default: the one that the script is in)
"""
import fcntl
import os
import subprocess
import sys

_cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
CACHE = os.environ.get('IOU_BPF_CACHE') or os.path.join(_cache, 'io-uring-bpf')
TREE = os.path.join(CACHE, 'linux')
TOP = os.environ.get('IOU_BPF_TOP') or os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__))))
# path of build/ in a guest, as in scripts/vm.sh
GUEST_BUILD = '/tmp/iou-bpf-build'

# the last commit that tree.py put on the work tree, or refresh.py took from it
APPLIED = 'refs/iou-bpf/applied'

IDENT = {
    'GIT_AUTHOR_NAME': 'io_uring BPF',
    'GIT_AUTHOR_EMAIL': 'series@localhost',
    'GIT_COMMITTER_NAME': 'io_uring BPF',
    'GIT_COMMITTER_EMAIL': 'series@localhost',
}

# The user's git configuration must not change ids and patches. GIT_* variables may
# point to the repository from which the script is called.
_ENV = {k: v for k, v in os.environ.items() if not k.startswith('GIT_')}
_ENV.update(GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_SYSTEM='/dev/null',
            GIT_ATTR_NOSYSTEM='1', LC_ALL='C.UTF-8', TZ='UTC')
_OPTS = ['-c', 'core.quotePath=false', '-c', 'core.autocrlf=false',
         '-c', 'diff.algorithm=myers', '-c', 'diff.noprefix=false',
         '-c', 'diff.mnemonicPrefix=false', '-c', 'diff.indentHeuristic=true']


class Error(Exception):
    """A failure to report to the user. Each argument is a message."""


class GitError(Error):
    """A git command that failed. lines: its error messages."""

    def __init__(self, command, lines):
        super().__init__('git %s: %s' % (command, lines[0]))
        self.lines = lines


def fail_if(errors):
    """Raise Error if there are error messages."""
    if errors:
        raise Error(*errors)


def say(text):
    """Print a line of progress."""
    tty = sys.stderr.isatty() and not os.environ.get('NO_COLOR')
    mark = '\033[1m==>\033[0m' if tty else '==>'
    print(mark, text, file=sys.stderr)


def run(main):
    """Run main(). Turn an Error into lines "error: ..." and status 1."""
    try:
        sys.exit(main())
    except Error as e:
        for text in e.args:
            print('error: ' + text, file=sys.stderr)
        sys.exit(1)
    except OSError as e:
        print('error: %s: %s' % (e.filename or 'system', e.strerror),
              file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def git(*args, data=None, env=None, cwd=None, fails=False):
    """Return the output (bytes) of a git command. With fails, None means failure."""
    e = dict(_ENV)
    e.update(env or {})
    r = subprocess.run(['git'] + _OPTS + list(args), input=data, env=e,
                       cwd=cwd or TREE, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    if r.returncode == 0:
        return r.stdout
    if fails:
        return None
    text = r.stderr.decode(errors='replace').strip().splitlines()
    raise GitError(args[0], [t for t in text if t.startswith(
        ('error:', 'fatal:'))] or text or ['status %d' % r.returncode])


def git_id(*args, **kw):
    """Return the only line of output of a git command, usually an id."""
    out = git(*args, **kw)
    return None if out is None else out.decode().strip()


def rev(name):
    """Return the id of a revision, or None."""
    return git_id('rev-parse', '-q', '--verify', name, fails=True)


def need_base():
    """Raise Error if there is no kernel in the cache."""
    if not os.path.isdir(os.path.join(TREE, '.git')) or not rev('base'):
        raise Error('there is no kernel in the cache, run: make base')


def hash_object(data):
    """Store a blob. Return its id."""
    return git_id('hash-object', '-w', '--stdin', data=data)


def lock(name):
    """Take a lock that is held until this process exits. Return the open file."""
    f = open(os.path.join(CACHE, name + '.lock'), 'a')
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say('waiting for another run that uses %s/%s' % (CACHE, name))
        fcntl.flock(f, fcntl.LOCK_EX)
    return f


def write_file(path, data, mode=0o644):
    """Replace a file atomically."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = path + '.new'
    with open(new, 'wb') as f:
        f.write(data)
    os.chmod(new, mode)
    os.replace(new, path)
