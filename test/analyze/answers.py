#!/usr/bin/env python3
"""Compare findings with the answers that were given to them.

    answers.py ANSWERS < findings

A finding is a line "file:line: [check] message"; any other line stays open.  ANSWERS holds the answered ones, a line each,

    file | check | text of the line found

below a comment that says why it is no fault.  The text of the line, not its
number: an answer survives a change elsewhere in the file, and is asked for
again when the line itself changes.

Prints the findings without answer, and answers that nothing asked for (other
versions of a tool find other things).  Status 1 when a finding is open.
"""
import re
import sys

def main():
    answers = {}
    with open(sys.argv[1], encoding='utf-8') as f:
        for line in f:
            line = line.strip()
            if line and not line.startswith('#'):
                name, check, text = (part.strip() for part in line.split('|', 2))
                answers[name, check, text] = 0
    still_open = 0
    found = 0
    for line in dict.fromkeys(sys.stdin.read().splitlines()):
        m = re.match(r'(\S+?):(\d+): \[([^\]]+)\] ', line)
        if not m:
            # not understood: a tool that could not do its work, for example
            print(line)
            still_open += 1
            continue
        found += 1
        name, number, checks = m.groups()
        try:
            with open(name, encoding='utf-8') as f:
                text = ' '.join(f.read().splitlines()[int(number) - 1].split())
        except (OSError, IndexError):
            text = ''
        known = [(name, check, text) for check in checks.split(',')
                 if (name, check, text) in answers]
        if known:
            for key in known:
                answers[key] += 1
            continue
        still_open += 1
        print(line)
        print(f'    {name} | {checks} | {text}')
    for key, n in answers.items():
        if n == 0:
            print('answer without a finding: ' + ' | '.join(key))
    print(f'{found} findings, {found - still_open} of them answered, {still_open} open')
    return still_open > 0

sys.exit(main())
