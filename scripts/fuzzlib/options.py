# SPDX-License-Identifier: GPL-2.0
"""Options of the form NAME=VALUE, as passed by make."""
import re

from serieslib.util import Error

UNITS = {'': 1, 's': 1, 'm': 60, 'h': 3600}
# value of an option that is passed to the fuzzer: the guest splits words at spaces
WORD = re.compile(r'[\w.,+-]*')


def seconds(text):
    """Return the seconds of a duration: 90, 90s, 20m or 4h."""
    match = re.fullmatch(r'(\d+)([smh]?)', text)
    if not match or not int(match[1]):
        raise Error('invalid time "%s", examples: 90s, 20m, 4h' % text)
    return int(match[1]) * UNITS[match[2]]


def number(text):
    """Return the value of a decimal number."""
    if not re.fullmatch(r'\d+', text):
        raise Error('invalid number "%s"' % text)
    return int(text)


def spell(left):
    """Return a duration in readable form."""
    minutes, left = divmod(int(left), 60)
    return '%dm%02ds' % (minutes, left) if minutes else '%ds' % left


def parse(words, names):
    """Return {name: value}. The default value is an empty string."""
    found = dict.fromkeys(names, '')
    for word in words:
        name, sep, value = word.partition('=')
        if not sep or name not in names:
            raise Error('unknown option "%s", options are: %s' % (word, ' '.join(names)))
        found[name] = value.strip()
    return found


def words(options, **flags):
    """Return arguments of the fuzzer: --flag VALUE for each flag=NAME with a value."""
    out = []
    for flag, name in flags.items():
        if options.get(name):
            if not WORD.fullmatch(options[name]):
                raise Error('%s: invalid value "%s"' % (name, options[name]))
            out += ['--' + flag, options[name]]
    return out
