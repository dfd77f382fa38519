#!/usr/bin/env python3
"""coverage.py INFO TABLE UNCOVERED

Read lcov's INFO (paths relative to the current directory); write TABLE, the
covered lines, branches and functions of each file, and UNCOVERED, the source
lines that no test reached: stretches in which an error is raised, or an
emergency met, are marked with "!".
"""
import re
import sys

TROUBLE = re.compile(r'ereport|elog|errmsg|raise|fault|_ERROR|goto|err\b|why|reason|return (false|NULL|-1)')

def read(path):
    files = {}
    current = None
    for line in open(path, encoding='utf-8'):
        key, _, value = line.strip().partition(':')
        if key == 'SF':
            current = files.setdefault(value, {'lines': {}, 'branches': {}, 'functions': {}})
        elif key == 'DA':
            number, count = value.split(',')[:2]
            current['lines'][int(number)] = current['lines'].get(int(number), 0) + int(count)
        elif key == 'BRDA':
            number, block, branch, taken = value.split(',')
            hit = taken not in ('-', '0')
            k = (number, block, branch)
            current['branches'][k] = current['branches'].get(k, False) or hit
        elif key == 'FNDA':
            count, name = value.split(',', 1)
            current['functions'][name] = current['functions'].get(name, 0) + int(count)
    return files

def share(values):
    n = len(values)
    hit = sum(1 for v in values if v)
    return f'{100 * hit / n:.1f} % of {n}' if n else '–', hit, n

def main():
    files = read(sys.argv[1])
    sums = {'lines': [0, 0], 'branches': [0, 0], 'functions': [0, 0]}
    with open(sys.argv[2], 'w', encoding='utf-8') as table, \
            open(sys.argv[3], 'w', encoding='utf-8') as rest:
        print('| file | lines | branches | functions |\n|---|---|---|---|', file=table)
        for name in sorted(files):
            f = files[name]
            cells = []
            for what in ('lines', 'branches', 'functions'):
                text, hit, n = share(f[what].values())
                cells.append(text)
                sums[what][0] += hit
                sums[what][1] += n
            print(f'| {name} | {" | ".join(cells)} |', file=table)
            source = open(name, encoding='utf-8').read().splitlines()
            known = sorted(f['lines'])
            stretch = []
            for number in known + [None]:
                if number is not None and f['lines'][number] == 0:
                    stretch.append(number)
                    continue
                if stretch:
                    text = [source[i - 1] for i in range(stretch[0], stretch[-1] + 1)]
                    mark = '!' if any(TROUBLE.search(t) for t in text) else ' '
                    for i, t in enumerate(text):
                        print(f'{mark} {name}:{stretch[0] + i}: {t}', file=rest)
                    print(file=rest)
                stretch = []
        total = [f'{100 * hit / n:.1f} % of {n}' if n else '–' for hit, n in sums.values()]
        print(f'| **all** | {" | ".join(total)} |', file=table)

main()
