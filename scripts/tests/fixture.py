# SPDX-License-Identifier: GPL-2.0
"""A tiny kernel and a tiny repository for the tests."""
import atexit
import os
import shutil
import subprocess
import tempfile
import unittest

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(SCRIPTS)
ENV = {k: v for k, v in os.environ.items()
       if not k.startswith(('GIT_', 'IOU_BPF_'))}
ENV.update(GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_SYSTEM='/dev/null',
           GIT_AUTHOR_NAME='t', GIT_AUTHOR_EMAIL='t@localhost',
           GIT_COMMITTER_NAME='t', GIT_COMMITTER_EMAIL='t@localhost',
           PYTHONDONTWRITEBYTECODE='1', LC_ALL='C.UTF-8', NO_COLOR='1')

# functions of five lines each, for edits
CODE = ''.join('int f%d(void)\n{\n\treturn %d;\n}\n\n' % (i, i)
               for i in range(20))
UAPI = ''.join('#define BPF_%d %d\n' % (i, i) for i in range(30))
KERNEL = {
    '.gitignore': '*.o\n/*\n',
    'io_uring/core.c': CODE,
    'io_uring/Makefile': 'obj-y += core.o \\\n\tloop.o\n',
    'io_uring/Kconfig': 'config IO_URING_BPF_OPS\n\tdef_bool y\n',
    'include/uapi/linux/bpf.h': UAPI,
    'tools/include/uapi/linux/bpf.h': UAPI,
    'kernel/other.c': CODE,
    'MAINTAINERS': 'IO_URING\nS:\tx\n\nIO_URING ZCRX\nS:\tx\n\n'
                   'IO_URING BPF-OPS\nS:\tx\n\nIPMI\nS:\tx\n',
}

SELFTESTS = 'tools/testing/selftests/io_uring_bpf/'
# the file that patch "one" adds and patch "two" extends
BPF = ''.join('int bpf%d;\n' % i for i in range(10))
REPO = {
    'scripts/series/order': '# a comment\none\ntwo\n# of tests\ntests\n',
    'scripts/series/cover.txt': 'a cover\n\nWhy all of it.\n',
    'scripts/series/one.txt': 'io_uring: one\n\nWhy one.\n---\n'
                              'MAINTAINERS\n'
                              'include/uapi/linux/bpf.h\n'
                              'io_uring/bpf.c\n'
                              'io_uring/core.c\n'
                              'tools/include/uapi/linux/bpf.h\n',
    'scripts/series/two.txt': 'io_uring: two\n\nWhy two.\n---\n'
                              'io_uring/Kconfig\nio_uring/Makefile\n',
    'scripts/series/two.diff': """diff --git a/io_uring/bpf.c b/io_uring/bpf.c
--- a/io_uring/bpf.c
+++ b/io_uring/bpf.c
@@ -8,3 +8,4 @@ int bpf6;
 int bpf7;
 int bpf8;
 int bpf9;
+int two;
diff --git a/io_uring/core.c b/io_uring/core.c
--- a/io_uring/core.c
+++ b/io_uring/core.c
@@ -51,7 +51,7 @@ int f9(void)
 
 int f10(void)
 {
-	return 10;
+	return 100;
 }
 
 int f11(void)
""",
    'scripts/series/tests.txt': 'selftests: tests\n\nWhy tests.\n---\n'
                                '{0}.gitignore\n{0}Makefile\n{0}run.sh\n'
                                .format(SELFTESTS),
    'Makefile': 'all:\n',
    'MAINTAINERS': 'IO_URING BPF PROGRAMS\nS:\tx\n',
    'io_uring/bpf.c': BPF + 'int two;\n',
    'Kconfig.patch': """diff --git a/io_uring/Kconfig b/io_uring/Kconfig
--- a/io_uring/Kconfig
+++ b/io_uring/Kconfig
@@ -1,2 +1,5 @@
 config IO_URING_BPF_OPS
 	def_bool y
+
+config IO_URING_BPF_PROG
+	bool
""",
    'io_uring/Makefile.patch': """\
diff --git a/io_uring/Makefile b/io_uring/Makefile
--- a/io_uring/Makefile
+++ b/io_uring/Makefile
@@ -1,2 +1,4 @@
 obj-y += core.o \\
 	loop.o
+obj-$(CONFIG_IO_URING_BPF_PROG) += \\
+	bpf.o
""",
    'io_uring/core.c.patch': """diff --git a/io_uring/core.c b/io_uring/core.c
--- a/io_uring/core.c
+++ b/io_uring/core.c
@@ -20,7 +20,8 @@ int f3(void)
 
 int f4(void)
 {
-	return 4;
+	int x = 40;
+	return x;
 }
 
 int f5(void)
@@ -50,7 +51,7 @@ int f9(void)
 
 int f10(void)
 {
-	return 10;
+	return 100;
 }
 
 int f11(void)
""",
    'include/uapi/linux/bpf.h.patch': """\
diff --git a/include/uapi/linux/bpf.h b/include/uapi/linux/bpf.h
--- a/include/uapi/linux/bpf.h
+++ b/include/uapi/linux/bpf.h
@@ -9,6 +9,7 @@
 #define BPF_8 8
 #define BPF_9 9
 #define BPF_10 10
+#define BPF_IOURING 99
 #define BPF_11 11
 #define BPF_12 12
 #define BPF_13 13
""",
    SELFTESTS + '.gitignore': '/build/\n/*_test\n/made.c\n',
    SELFTESTS + 'Makefile': 'all:\n',
    SELFTESTS + 'run.sh': '#!/bin/sh\n',
}


def read(*path):
    """Return the text of a file."""
    with open(os.path.join(*path), encoding='utf-8') as f:
        return f.read()


def write(top, files):
    """Write files below a folder."""
    for rel, text in files.items():
        path = os.path.join(top, rel)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text)
        if rel.endswith('.sh'):
            os.chmod(path, 0o755)


def git(tree, *args):
    """Return the output of a git command."""
    return subprocess.run(['git', '-C', tree] + list(args), check=True,
                          env=ENV, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout.decode()


def _template(made=[]):
    """Return a kernel to copy, made once."""
    if not made:
        top = tempfile.mkdtemp(prefix='iou-bpf-test.')
        atexit.register(shutil.rmtree, top, True)
        write(top, KERNEL)
        git(top, 'init', '-q', '-b', 'base')
        git(top, 'add', '-A', '-f')
        git(top, 'commit', '-q', '-m', 'Linux')
        made.append(top)
    return made[0]


class Case(unittest.TestCase):
    """A test with a kernel in self.tree and a repository in self.top."""

    maxDiff = None

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix='iou-bpf-test.')
        self.addCleanup(shutil.rmtree, self.tmp, True)
        self.cache = os.path.join(self.tmp, 'cache')
        self.tree = os.path.join(self.cache, 'linux')
        self.top = os.path.join(self.tmp, 'top')
        shutil.copytree(_template(), self.tree)
        write(self.top, REPO)

    def script(self, name, *args):
        """Run a script. Return (exit status, output, error output)."""
        env = dict(ENV, IOU_BPF_CACHE=self.cache, IOU_BPF_TOP=self.top)
        r = subprocess.run([os.path.join(SCRIPTS, name)] + list(args), env=env,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return r.returncode, r.stdout.decode(), r.stderr.decode()

    def good(self, name, *args):
        """Run a script that must succeed. Return its error output."""
        rc, _, err = self.script(name, *args)
        self.assertEqual(rc, 0, err)
        return err

    def bad(self, *args, says):
        """Run a script that must fail with this message."""
        rc, _, err = self.script(*args)
        self.assertEqual(rc, 1, err)
        self.assertIn('error: ' + says, err)
        self.assertNotIn('Traceback', err)
        return err

    def put(self, rel, text):
        """Write a file of the repository."""
        write(self.top, {rel: text})

    def get(self, rel):
        """Return a file of the repository."""
        with open(os.path.join(self.top, rel), encoding='utf-8') as f:
            return f.read()

    def edit(self, rel, old, new):
        """Edit a file of the work tree."""
        path = os.path.join(self.tree, rel)
        with open(path, encoding='utf-8') as f:
            text = f.read()
        self.assertEqual(text.count(old), 1, rel)
        write(self.tree, {rel: text.replace(old, new)})

    def show(self, rel, commit='series'):
        """Return a file as of a commit."""
        return git(self.tree, 'show', '%s:%s' % (commit, rel))

    def files(self, folder):
        """Return {path: contents} of the files below a folder."""
        found = {}
        for where, _, names in os.walk(folder):
            for n in names:
                path = os.path.join(where, n)
                with open(path, 'rb') as f:
                    found[os.path.relpath(path, folder)] = f.read()
        return found
