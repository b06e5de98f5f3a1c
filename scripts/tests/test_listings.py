# SPDX-License-Identifier: GPL-2.0
"""The listings of the document are programs that compile, and doc_test runs them."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from fixture import TOP, read

DOC = os.path.join(TOP, 'Documentation/bpf/prog_io_uring.rst')
TESTS = os.path.join(TOP, 'tools/testing/selftests/io_uring_bpf')
HEADERS = os.path.join(TOP, 'tools/io_uring/include')
CACHE = os.environ.get('IOU_BPF_CACHE') or os.path.expanduser('~/.cache/io-uring-bpf')
# parts of user space, see doc_listing.awk
USER = 'main', 'attach_only_large', 'attach_proxy'


def listing(name=''):
    """Return a listing of the document, or the names of all."""
    return subprocess.run(['awk', '-v', 'name=' + name, '-f',
                           os.path.join(TESTS, 'doc_listing.awk'), DOC], check=True,
                          stdout=subprocess.PIPE).stdout.decode()


def names():
    """Return the names of the listings that are programs."""
    return [n for n in listing().split() if n not in USER]


def listing_text():
    """Return all programs."""
    return ''.join(listing(name) for name in names())


def built():
    """Return a build folder of "make kernel" that has what programs use, or None."""
    words = set(re.findall(r'\bbpf_io_uring_\w+|\bBPF_IO_URING_\w+',
                           listing_text() + read(HEADERS, 'iou/iou.bpf.h')))
    for path in glob.glob(CACHE + '/build/*/io_uring_tools/build'):
        header = path + '/include/vmlinux.h'
        if os.path.exists(header) and words <= set(re.findall(r'\w+', read(header))):
            return path
    return None


class Listings(unittest.TestCase):

    def run_in(self, tmp, *command):
        """Run a command that must succeed without output."""
        r = subprocess.run(command, cwd=tmp, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        self.assertEqual((0, ''), (r.returncode, r.stdout.decode()), command)

    def compiled(self, clang, tools, tmp, name):
        """Write and compile a program."""
        with open(os.path.join(tmp, name + '.bpf.c'), 'w', encoding='utf-8') as f:
            f.write(listing(name))
        self.run_in(tmp, clang, '-g', '-O2', '-mcpu=v3', '--target=bpf', '-Wall', '-Werror',
                    '-Wno-missing-declarations', '-fms-extensions',
                    '-Wno-microsoft-anon-tag', '-I' + tools + '/include', '-I' + HEADERS,
                    *['-idirafter' + d for d in ['/usr/include'] +
                      glob.glob('/usr/include/*-linux-gnu')],
                    '-c', name + '.bpf.c', '-o', name + '.bpf.o')

    def test_compile(self):
        tools = built()
        clang = [c for c in ('clang-21', 'clang-20', 'clang-19', 'clang')
                 if shutil.which(c)]
        if not tools or not clang:
            self.skipTest('no clang, or the kernel lacks what the programs use')
        with tempfile.TemporaryDirectory(prefix='iou-bpf-test.') as tmp:
            for name in names():
                self.compiled(clang[0], tools, tmp, name)
            with open(os.path.join(tmp, 'count.skel.h'), 'wb') as f:
                subprocess.run([tools + '/obj/bpftool/bootstrap/bpftool', 'gen', 'skeleton',
                                'count.bpf.o', 'name', 'count'], cwd=tmp, check=True,
                               stdout=f, stderr=subprocess.DEVNULL)
            with open(os.path.join(tmp, 'main.c'), 'w', encoding='utf-8') as f:
                f.write(listing('main'))
            self.run_in(tmp, 'gcc', '-Wall', '-Werror', '-I' + tools + '/include',
                        '-fsyntax-only', 'main.c')

    def test_all_code_is_listed(self):
        """No code of the document escapes doc_listing.awk."""
        blocks = re.findall(r'::\n\n((?:(?: {4,}.*)?\n)+)', read(DOC))
        code = [b for b in blocks if re.search(r';\n', b) and '|' not in
                b.split('\n')[2]]
        self.assertEqual(len(code), len(listing().split()))
        self.assertGreater(len(code), 8)

    def test_each_is_run(self):
        test = read(TESTS, 'doc_test.c')
        for name in names():
            self.assertRegex(test, r'TEST_F(_TIMEOUT)?\(doc, %s[,)]' % name)
            self.assertIn('doc/%s.skel.h' % name if name != 'count' else 'doc/main.inc',
                          test)


if __name__ == '__main__':
    unittest.main()
