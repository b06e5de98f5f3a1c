# SPDX-License-Identifier: GPL-2.0
"""Line coverage of io_uring/bpf*.[ch], from the gcov counters of the kernel."""
import collections
import glob
import gzip
import json
import os
import re
import shutil
import subprocess
import tempfile

from serieslib.util import CACHE, Error, TOP, TREE, write_file

BUILD = os.path.join(TOP, 'build')
NOTES = os.path.join(CACHE, 'build', 'debug', 'io_uring')


def ours():
    """Return the names of the files to measure."""
    return {'io_uring/' + os.path.basename(path)
            for path in glob.glob(os.path.join(TOP, 'io_uring', 'bpf*.[ch]'))}


def documents(text):
    """Yield each of several concatenated JSON documents."""
    decoder, pos = json.JSONDecoder(), 0
    while match := re.compile(r'\s*(?=\S)').match(text, pos):
        value, pos = decoder.raw_decode(text, match.end())
        yield value


def gcov(folder, names):
    """Run gcov on files of a folder that has the *.gcno files. Return its documents."""
    p = subprocess.run(['gcov', '--json-format', '--stdout'] + names, cwd=folder,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    out = p.stdout.decode(errors='replace')
    if not out.lstrip().startswith('{'):
        # some versions of gcov write files nevertheless
        out = ''
        for path in sorted(glob.glob(os.path.join(folder, '*.gcov.json.gz'))):
            with gzip.open(path, 'rt', errors='replace') as f:
                out += f.read() + '\n'
    try:
        return list(documents(out))
    except ValueError as e:
        raise Error('gcov: %s %s' % (e, p.stderr.decode(errors='replace')[-200:]))


def add(counts, docs, wanted):
    """Merge documents of gcov into counts, {file: {line: reached}}."""
    for doc in docs:
        for file in doc['files']:
            name = '/'.join(file['file'].split('/')[-2:])
            if name not in wanted:
                continue
            for line in file['lines']:
                nr = line['line_number']
                counts[name][nr] = counts[name].get(nr, False) or line['count'] > 0


def unite(folders, notes, wanted):
    """Return the union of all folders. An object without counters is unreached."""
    counts = collections.defaultdict(dict)
    names = {os.path.basename(p)[:-5] for p in glob.glob(os.path.join(notes, '*.gcno'))}
    if not names:
        raise Error('the kernel in %s was built without gcov' % os.path.dirname(notes))
    for folder in [None] + folders:
        with tempfile.TemporaryDirectory() as tmp:
            have = []
            for name in sorted(names):
                data = folder and os.path.join(folder, name + '.gcda')
                if folder and not os.path.exists(data):
                    continue
                shutil.copyfile(os.path.join(notes, name + '.gcno'),
                                os.path.join(tmp, name + '.gcno'))
                if data:
                    shutil.copyfile(data, os.path.join(tmp, name + '.gcda'))
                have.append(name + ('.gcda' if data else '.gcno'))
            if have:
                add(counts, gcov(tmp, have), wanted)
    return counts


def table(counts):
    """Return the coverage table, as lines of text."""
    width = max(map(len, counts), default=8)
    row = '%-' + str(width) + 's %6s %8s %8s'
    out, lines, reached = [row % ('', 'lines', 'reached', 'percent')], 0, 0
    for name, found in sorted(counts.items()) + [('sum', None)]:
        if found is None:
            all_of, some = lines, reached
        else:
            all_of, some = len(found), sum(found.values())
            lines, reached = lines + all_of, reached + some
        out.append(row % (name, all_of, some, '%.1f' % (100 * some / all_of if all_of else 0)))
    return out


def unreached(counts, tree):
    """Return "FILE:LINE: TEXT" for each unreached line."""
    out = []
    for name, found in sorted(counts.items()):
        with open(os.path.join(tree, name), encoding='utf-8', errors='replace') as f:
            text = f.read().split('\n')
        out += ['%s:%d: %s' % (name, nr, text[nr - 1].strip() if nr <= len(text) else '')
                for nr, was in sorted(found.items()) if not was]
    return out


def report(folders=None):
    """Return the table, and write unreached lines to build/fuzz/unreached.txt."""
    if folders is None:
        folders = glob.glob(os.path.join(BUILD, 'fuzz', '*', 'gcda.*'))
    if not folders:
        raise Error('no gcov counters in build/fuzz')
    counts = unite(sorted(folders), NOTES, ours())
    write_file(os.path.join(BUILD, 'fuzz', 'unreached.txt'),
               ''.join(x + '\n' for x in unreached(counts, TREE)).encode())
    return table(counts)
