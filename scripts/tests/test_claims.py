# SPDX-License-Identifier: GPL-2.0
"""Each file of the series belongs to one patch of it."""
import os

from fixture import REPO, SELFTESTS, Case


class Claims(Case):
    """Files that no patch claims, or two."""

    def test_unclaimed(self):
        self.put('io_uring/stray.c', 'x\n')
        self.bad('export.py', says='io_uring/stray.c: no patch')

    def test_twice(self):
        rel = 'scripts/series/two.txt'
        self.put(rel, REPO[rel] + 'io_uring/*.c\n')
        self.bad('export.py', says='io_uring/bpf.c: more than one patch claims '
                                   'it: one, two')

    def test_patch_twice(self):
        rel = 'scripts/series/two.txt'
        self.put(rel, REPO[rel] + 'io_uring/core.c.patch\n')
        self.bad('export.py', says='io_uring/core.c.patch: more than one patch')

    def test_taken_out(self):
        self.put('scripts/series/tests.txt', 's: s\n\ns\n---\n%s**\n!%srun*\n' %
                 (SELFTESTS, SELFTESTS))
        self.bad('export.py', says=SELFTESTS + 'run.sh: no patch')
        rel = 'scripts/series/two.txt'
        self.put(rel, REPO[rel] + SELFTESTS + 'run*\n')
        self.good('export.py')
        self.assertEqual(self.show(SELFTESTS + 'run.sh', 'refs/patches/two'),
                         '#!/bin/sh\n')

    def test_unknown_slug(self):
        rel = 'io_uring/core.c.patch'
        self.put(rel, REPO[rel].replace('Series: two', 'Series: tow'))
        self.bad('export.py', says=rel + ': no patch of the series is called '
                                         '"tow"')

    def test_section_twice(self):
        rel = 'io_uring/core.c.patch'
        self.put(rel, REPO[rel].replace('Series: two', 'Series: one'))
        self.bad('export.py', says=rel + ': two sections belong to "one"')

    def test_sections_out_of_order(self):
        rel = 'io_uring/core.c.patch'
        self.put(rel, REPO[rel].replace('Series: one', 'Series: tests'))
        self.bad('export.py', says=rel + ': section "two" is not in the order')

    def test_whole_file_of_the_kernel(self):
        self.put('kernel/other.c', 'x\n')
        rel = 'scripts/series/two.txt'
        self.put(rel, REPO[rel] + 'kernel/other.c\n')
        self.bad('export.py', says='kernel/other.c: the kernel has this file')

    def test_patch_of_no_file(self):
        self.put('kernel/none.c.patch', REPO['io_uring/core.c.patch'].replace(
            'io_uring/core.c', 'kernel/none.c'))
        self.bad('export.py', says='kernel/none.c.patch: the kernel has no '
                                   'file kernel/none.c')

    def test_no_message(self):
        os.unlink(os.path.join(self.top, 'scripts/series/two.txt'))
        self.bad('export.py', says='scripts/series/two.txt: no such file')

    def test_message_cut(self):
        self.put('scripts/series/two.txt', 'two\n\nsee\ndiff -u a b\n---\n')
        self.bad('export.py', says='scripts/series/two.txt:4: "diff -u a b"')

    def test_maintainers_stanzas(self):
        self.put('MAINTAINERS', 'A\nS:\tx\n\nB\nS:\tx\n')
        self.bad('export.py', says='MAINTAINERS: it has to be one stanza')
