#!/usr/bin/env python3
"""Lines of C beyond column 79, as file:line: text.

    python3 test/columns.py FILE...

A tab goes to the next multiple of 4; a character is one column.

A string literal may be the reason, and a message is not split: a line is let
pass if a literal in it would not fit in a line of its own either, where
pgindent would put it.  What a macro joins to it (INT64_FORMAT) belongs to it.
But a text that is broken into literals anyway, as our SQL is, has no such
excuse, except where it has a line end itself.  Files that say at their top
that they are generated are their generator's affair.
"""

import re
import sys

LIMIT = 79
TOKEN = re.compile(
    r'(?P<comment>/\*.*?\*/|//[^\n]*)'
    r'|(?P<piece>[LuU8R]*"(?:\\.|[^"\\])*"|\b[A-Z][A-Z0-9_]+\b(?! *\())'
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|\s+|\w+|'(?:\\.|[^'\\])*'|.", re.S)


def width(text):
    return len(text.expandtabs(4))


class Row:
    """What one line has of a text: literals, and macros between them."""

    def __init__(self, line, first, end, piece, margin):
        self.line, self.first, self.end = line, first, end
        self.pieces, self.margin = [piece], margin

    def begins(self):
        return self.pieces[0].endswith('"')

    def ends(self):
        return self.pieces[-1].endswith('"')

    def fits(self, line):
        """Would it, in a line of its own, with what must follow at once?"""
        end = self.end + len(re.match(r'[)\]},;]*', line[self.end:])[0])
        at = width(line[:self.first])
        return min(at, self.margin) + width(line[:end]) - at <= LIMIT


def excused(rows, lines):
    """The lines of a text that it may make too long."""
    for k, row in enumerate(rows):
        broken = (k > 0 and row.begins() and rows[k - 1].ends() or
                  k + 1 < len(rows) and row.ends() and rows[k + 1].begins())
        if broken and not row.pieces[-1].endswith('\\n"'):
            continue
        if any('"' in p for p in row.pieces) and not row.fits(lines[row.line]):
            yield row.line


def too_long(text):
    """The numbers of the lines that are, from 0."""
    lines = text.split('\n')
    found = {n for n, line in enumerate(lines) if width(line) > LIMIT}
    columns = []                # behind each open parenthesis; 0 = a brace
    rows = []                   # of the text that we are in
    n, start = 0, 0             # the line of a token, and where it begins
    for token in TOKEN.finditer(text):
        kind, what = token.lastgroup, token[0]
        first, end = token.start() - start, token.end() - start
        if kind == 'piece':
            indent = width(re.match(r'\s*', lines[n])[0])
            if rows and rows[-1].line == n:
                rows[-1].end = end
                rows[-1].pieces.append(what)
            else:
                rows.append(Row(n, first, end, what,
                                columns and columns[-1] or indent + 4))
        elif kind != 'comment' and not what.isspace():
            found.difference_update(excused(rows, lines))
            rows = []
        if kind == 'open':
            columns.append(width(lines[n][:end]) if what == '(' else 0)
        elif kind == 'close' and columns:
            columns.pop()
        if '\n' in what:
            n += what.count('\n')
            start = token.start() + what.rindex('\n') + 1
    return sorted(found)


def main():
    for name in sys.argv[1:]:
        with open(name, encoding='utf-8') as file:
            text = file.read()
        if re.search(r'enerated.*do not edit', text[:400]):
            continue
        lines = text.split('\n')
        for n in too_long(text):
            print(f'{name}:{n + 1}: {lines[n].strip()}')


main()
