#!/usr/bin/env python3
"""The list of mutants: see ../mutants.sh.

    mutant.py list|trace FILE              number, name, tests (tab-separated)
    mutant.py check FILE                   does each fit the source here?
    mutant.py apply|revert FILE N ROOT     change or restore the file of mutant N

A mutant is a block of lines in FILE:

    what it takes away
    file  src/http/http.c
    old   text that occurs once in the file
    new   text instead of it (a line that begins with a tab continues the text)
    tests unit:http tap:001_delivery
    trace tap:003_crash

The last line, which few have: what the server does in this test is not what
the model does; see ../model/README.md.
"""
import os
import re
import sys

def place(old):
    """Where the old text stands, however the lines are broken there."""
    return re.compile(r'\s+'.join(re.escape(w).replace(r'\(', r'\(\s*') for w in old.split()))

def read(path):
    mutants = []
    m = None
    for line in open(path, encoding='utf-8'):
        line = line.rstrip('\n')
        if line.startswith('#') or not line.strip():
            m = None
            continue
        if m is None:
            m = {'name': line, 'new': ''}
            mutants.append(m)
            continue
        if line.startswith('\t'):
            m[key] += '\n' + line
            continue
        key, _, value = line.partition(' ')
        m[key] = value.strip() if key in ('file', 'tests', 'trace') else value.lstrip(' ')
    return mutants

def main():
    mode, path = sys.argv[1:3]
    mutants = read(path)
    if mode in ('list', 'trace'):
        for i, m in enumerate(mutants):
            if mode == 'list' or 'trace' in m:
                print(i, m['name'], m['tests' if mode == 'list' else 'trace'], sep='\t')
        return 0
    if mode == 'check':
        bad = 0
        for m in mutants:
            n = len(place(m['old']).findall(open(m['file'], encoding='utf-8').read()))
            if n != 1:
                bad += 1
                print(f"{m['name']}: its text occurs {n} times in {m['file']}")
            for test in (m['tests'] + ' ' + m.get('trace', '')).split():
                kind, _, name = test.partition(':')
                file = {'unit': f'test/unit/{name}_test.c', 'regress': f'test/sql/{name}.sql',
                        'isolation': f'test/specs/{name}.spec', 'tap': f'test/t/{name}.pl'}[kind]
                if not os.path.exists(file):
                    bad += 1
                    print(f"{m['name']}: no test {file}")
        print(f'{len(mutants)} mutants, {bad} do not fit')
        return bad > 0
    m = mutants[int(sys.argv[3])]
    file = os.path.join(sys.argv[4], m['file'])
    text = open(file, encoding='utf-8').read()
    if mode == 'revert':
        os.replace(file + '.kept', file)
        os.utime(file)
        return 0
    # what stands before the old text's first word stays
    new, n = place(m['old']).subn(lambda found: m['new'].lstrip(), text)
    if n != 1:
        print(f"{m['name']}: its text occurs {n} times in {m['file']}")
        return 1
    with open(file + '.kept', 'w', encoding='utf-8') as f:
        f.write(text)
    with open(file, 'w', encoding='utf-8') as f:
        f.write(new)
    return 0

sys.exit(main())
