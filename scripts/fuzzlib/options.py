# SPDX-License-Identifier: GPL-2.0
"""NAME=VALUE words of a command line, as make has them."""
import re

from serieslib.util import Error

UNITS = {'': 1, 's': 1, 'm': 60, 'h': 3600}
# what goes into a command of the guest is one word there
WORD = re.compile(r'[\w.,+-]*')


def seconds(text):
    """90, 90s, 20m or 4h."""
    match = re.fullmatch(r'(\d+)([smh]?)', text)
    if not match or not int(match[1]):
        raise Error('"%s" is no time such as 90s, 20m or 4h' % text)
    return int(match[1]) * UNITS[match[2]]


def number(text):
    """A number."""
    if not re.fullmatch(r'\d+', text):
        raise Error('"%s" is no number' % text)
    return int(text)


def spell(left):
    """Seconds, for people."""
    minutes, left = divmod(int(left), 60)
    return '%dm%02ds' % (minutes, left) if minutes else '%ds' % left


def parse(words, names):
    """{name: value}. What has none is empty."""
    found = dict.fromkeys(names, '')
    for word in words:
        name, sep, value = word.partition('=')
        if not sep or name not in names:
            raise Error('what is "%s"? These are there: %s' % (word, ' '.join(names)))
        found[name] = value.strip()
    return found


def words(options, **flags):
    """Arguments of the fuzzer for those that are there: option=NAME."""
    out = []
    for flag, name in flags.items():
        if options.get(name):
            if not WORD.fullmatch(options[name]):
                raise Error('%s: "%s" is not one word' % (name, options[name]))
            out += ['--' + flag, options[name]]
    return out
