#!/usr/bin/env python3
"""Generate phone_tables.h: the numbering plans of the world as automata.

The metadata of libphonenumber describes every numbering plan with regular
expressions over digits.  All of them are finite languages (digits, sets,
groups, alternatives, ?, {n,m} and $; no * or +, no look-around), so this
program compiles them, once, at build time, into acyclic automata that
phone.c walks with one table access per digit:

- per calling code one minimal automaton over the national number.  What it
  says after the last digit is (general pattern matches, region, type): type
  priorities, possible lengths, leading digits and the order of the regions
  that share a calling code are all resolved here;
- per region that is not the main one of its calling code, its general pattern
  alone (it decides whether a prefix may be stripped);
- per shared calling code the leading digits, for numbers that are not valid;
- international and national prefixes, which libphonenumber matches with a
  backtracking engine (leftmost alternative first, not longest), as ordered
  thread lists that are cut below the first match, with the positions of the
  captured groups in the state.

Usage (standard library only):

    gen_phone_tables.py js PACKAGE_DIR        an unpacked libphonenumber-js
    gen_phone_tables.py python MODULE_DIR     the directory that holds the
                                              Python package phonenumbers

The header is written to standard output.  The same input gives the same
bytes.
"""

import json
import os
import re
import sys

# libphonenumber's types, in the order of our enum LnPhoneType
TYPES = ['FIXED_LINE', 'MOBILE', 'FIXED_LINE_OR_MOBILE', 'TOLL_FREE',
         'PREMIUM_RATE', 'SHARED_COST', 'VOIP', 'PERSONAL_NUMBER', 'PAGER',
         'UAN', 'VOICEMAIL', 'UNKNOWN']
# the order in which libphonenumber asks, before fixed line and mobile
PRIORITY = ['PREMIUM_RATE', 'TOLL_FREE', 'SHARED_COST', 'VOIP',
            'PERSONAL_NUMBER', 'PAGER', 'UAN', 'VOICEMAIL']
TYPE_ID = {name: i for i, name in enumerate(TYPES)}
UNKNOWN = TYPE_ID['UNKNOWN']

MAX_NSN = 17                    # digits of a national number, at most
NO_REGION = 'ZZ'
NON_GEOGRAPHIC = '001'


# ---------------------------------------------------------------------------
# Metadata: two readers, one form
# ---------------------------------------------------------------------------

class Plan:
    """The numbering plan of one region or one non-geographic code."""

    def __init__(self, region, cc):
        self.region = region
        self.cc = cc
        self.idd = None
        self.prefix = None          # national prefix for parsing
        self.transform = None       # its transform rule
        self.leading = None         # leading digits
        self.general = None
        self.lengths = []
        self.types = {}             # name -> (pattern, lengths or None)
        self.same = False           # mobile and fixed-line pattern are equal


def read_js(directory):
    """libphonenumber-js: metadata.max.json, format version 4."""
    with open(os.path.join(directory, 'package.json')) as f:
        package = json.load(f)
    with open(os.path.join(directory, 'metadata.max.json')) as f:
        meta = json.load(f)
    if meta.get('version') != 4:
        raise SystemExit('metadata.max.json has format version %r, expected 4'
                         % meta.get('version'))
    with open(os.path.join(directory, 'CHANGELOG.md'), encoding='utf-8') as f:
        version = re.search(r'metadata to version (\d+\.\d+\.\d+)',
                            f.read()).group(1)
    order = ['FIXED_LINE', 'MOBILE', 'TOLL_FREE', 'PREMIUM_RATE',
             'PERSONAL_NUMBER', 'VOICEMAIL', 'UAN', 'PAGER', 'VOIP',
             'SHARED_COST']

    def plan(region, cc, a):
        def at(i):
            return a[i] if i < len(a) and a[i] != 0 else None

        p = Plan(region, cc)
        p.idd = at(1)
        p.general = at(2)
        p.lengths = list(at(3))
        p.prefix = at(7) or at(5)
        p.transform = at(8)
        p.leading = at(10)
        types = at(11) or []
        for name, t in zip(order, types):
            if t:
                p.types[name] = (t[0], t[1] if len(t) > 1 else None)
        if 'MOBILE' in p.types and p.types['MOBILE'][0] == '':
            p.same = True
            p.types['MOBILE'] = (p.types['FIXED_LINE'][0],
                                 p.types['MOBILE'][1])
        return p

    plans = {}
    for region, a in meta['countries'].items():
        plans[region] = plan(region, int(a[0]), a)
    codes = {int(cc): list(r)
             for cc, r in meta['country_calling_codes'].items()}
    for cc, a in meta['nonGeographic'].items():
        if str(a[0]) != cc:
            a = [cc] + a            # older files leave the element out
        plans['%s/%s' % (NON_GEOGRAPHIC, cc)] = plan(NON_GEOGRAPHIC,
                                                     int(cc), a)
        codes[int(cc)] = ['%s/%s' % (NON_GEOGRAPHIC, cc)]
    source = 'npm %s@%s, metadata.max.json' % (package['name'],
                                               package['version'])
    return plans, codes, version, source


def read_python(directory):
    """Debian's python3-phonenumbers (or the package of that name)."""
    sys.path.insert(0, directory)
    import phonenumbers
    from phonenumbers import phonemetadata
    from phonenumbers.data import _COUNTRY_CODE_TO_REGION_CODE

    def pattern(p):
        return p.replace('\\1', '$1').replace('\\2', '$2') if p else None

    def plan(region, cc, m):
        p = Plan(region, cc)
        p.idd = m.international_prefix
        p.general = m.general_desc.national_number_pattern
        p.lengths = [n for n in m.general_desc.possible_length if n > 0]
        p.prefix = m.national_prefix_for_parsing
        p.transform = pattern(m.national_prefix_transform_rule)
        p.leading = m.leading_digits
        for name in TYPES:
            desc = getattr(m, name.lower(), None)
            if desc is None or not desc.national_number_pattern:
                continue
            lengths = [n for n in desc.possible_length or () if n > 0]
            p.types[name] = (desc.national_number_pattern, lengths or None)
        p.same = bool(m.same_mobile_and_fixed_line_pattern)
        return p

    plans = {}
    codes = {}
    for cc, regions in _COUNTRY_CODE_TO_REGION_CODE.items():
        if tuple(regions) == (NON_GEOGRAPHIC,):
            m = phonemetadata.PhoneMetadata.metadata_for_nongeo_region(cc)
            key = '%s/%d' % (NON_GEOGRAPHIC, cc)
            plans[key] = plan(NON_GEOGRAPHIC, cc, m)
            codes[cc] = [key]
        else:
            for region in regions:
                m = phonemetadata.PhoneMetadata.metadata_for_region(region)
                plans[region] = plan(region, cc, m)
            codes[cc] = list(regions)
    return (plans, codes, phonenumbers.__version__,
            'Python package phonenumbers %s' % phonenumbers.__version__)


# ---------------------------------------------------------------------------
# Patterns
# ---------------------------------------------------------------------------

ALL = (1 << 10) - 1


class Parser:
    """The subset of regular expressions that the metadata uses.

    Trees: ('set', mask) ('cat', [..]) ('alt', [..]) ('rep', tree, min, max)
    ('cap', number, tree) ('end',)
    """

    def __init__(self, text):
        self.s = text
        self.i = 0
        self.groups = 0
        self.tree = self.alternatives()
        if self.i != len(self.s):
            raise ValueError('cannot parse %r at %d' % (text, self.i))

    def peek(self):
        return self.s[self.i] if self.i < len(self.s) else ''

    def alternatives(self):
        out = [self.sequence()]
        while self.peek() == '|':
            self.i += 1
            out.append(self.sequence())
        return out[0] if len(out) == 1 else ('alt', out)

    def sequence(self):
        out = []
        while self.peek() not in ('', '|', ')'):
            out.append(self.repeated())
        return ('cat', out)

    def repeated(self):
        atom = self.atom()
        while True:
            c = self.peek()
            if c == '?':
                self.i += 1
                atom = ('rep', atom, 0, 1)
            elif c == '{':
                m = re.compile(r'\{(\d+)(?:,(\d+))?\}').match(self.s, self.i)
                self.i = m.end()
                lo = int(m.group(1))
                atom = ('rep', atom, lo, int(m.group(2) or lo))
            else:
                return atom

    def atom(self):
        c = self.peek()
        self.i += 1
        if c.isdigit():
            return ('set', 1 << int(c))
        if c == '\\':
            if self.peek() != 'd':
                raise ValueError('unknown escape in %r' % self.s)
            self.i += 1
            return ('set', ALL)
        if c == '$':
            return ('end',)
        if c == '[':
            mask = 0
            while self.peek() != ']':
                c = self.peek()
                self.i += 1
                if c == '\\' and self.peek() == 'd':
                    self.i += 1
                    mask |= ALL
                    continue
                lo = hi = int(c)
                if self.peek() == '-':
                    hi = int(self.s[self.i + 1])
                    self.i += 2
                for d in range(lo, hi + 1):
                    mask |= 1 << d
            self.i += 1
            return ('set', mask)
        if c == '(':
            number = 0
            if self.s.startswith('?:', self.i):
                self.i += 2
            else:
                self.groups += 1
                number = self.groups
            tree = self.alternatives()
            if self.peek() != ')':
                raise ValueError('missing ) in %r' % self.s)
            self.i += 1
            return ('cap', number, tree) if number else tree
        raise ValueError('unexpected %r in %r' % (c, self.s))


class Program:
    """A non-deterministic program; the order of branches is priority."""

    def __init__(self, text):
        parser = Parser(text)
        self.groups = parser.groups
        self.code = []
        self.emit(parser.tree)
        self.code.append(('match',))

    def emit(self, t):
        code = self.code
        kind = t[0]
        if kind == 'set':
            code.append(('set', t[1]))
        elif kind == 'cat':
            for child in t[1]:
                self.emit(child)
        elif kind == 'alt':
            jumps = []
            for n, child in enumerate(t[1]):
                last = n == len(t[1]) - 1
                if not last:
                    split = len(code)
                    code.append(None)
                self.emit(child)
                if not last:
                    jumps.append(len(code))
                    code.append(None)
                    code[split] = ('split', split + 1, len(code))
            for j in jumps:
                code[j] = ('jump', len(code))
        elif kind == 'rep':
            for _ in range(t[2]):
                self.emit(t[1])
            splits = []
            for _ in range(t[3] - t[2]):
                splits.append(len(code))
                code.append(None)
                self.emit(t[1])
            for s in splits:
                code[s] = ('split', s + 1, len(code))
        elif kind == 'cap':
            code.append(('save', 2 * (t[1] - 1)))
            self.emit(t[2])
            code.append(('save', 2 * (t[1] - 1) + 1))
        elif kind == 'end':
            code.append(('end',))


class Pool:
    """Hash-consed nodes (ten children and an output); 0 is the dead one."""

    def __init__(self, dead):
        self.nodes = [(dead, (0,) * 10)]
        self.ids = {self.nodes[0]: 0}

    def get(self, out, children):
        key = (out, tuple(children))
        node = self.ids.get(key)
        if node is None:
            node = self.ids[key] = len(self.nodes)
            self.nodes.append(key)
        return node


languages = Pool(False)
LANGUAGE_CACHE = {}


def language(text):
    """The minimal acyclic automaton of a full match."""
    if text in LANGUAGE_CACHE:
        return LANGUAGE_CACHE[text]
    code = Program(text).code
    memo = {}

    def closure(pcs):
        seen = set()
        stack = list(pcs)
        while stack:
            pc = stack.pop()
            if pc in seen:
                continue
            seen.add(pc)
            op = code[pc]
            if op[0] == 'split':
                stack += op[1:]
            elif op[0] == 'jump':
                stack.append(op[1])
            elif op[0] == 'save':
                stack.append(pc + 1)
            elif op[0] == 'end':
                raise ValueError('$ in %r' % text)
        return frozenset(pc for pc in seen if code[pc][0] in ('set', 'match'))

    def build(state):
        if state in memo:
            return memo[state]
        out = any(code[pc][0] == 'match' for pc in state)
        children = []
        for d in range(10):
            after = [pc + 1 for pc in state
                     if code[pc][0] == 'set' and code[pc][1] >> d & 1]
            children.append(build(closure(after)) if after else 0)
        memo[state] = languages.get(out, children)
        return memo[state]

    LANGUAGE_CACHE[text] = build(closure([0]))
    return LANGUAGE_CACHE[text]


def restricted(node, lengths):
    """The words of node that have one of these lengths."""
    if lengths is None:
        return node
    allowed = frozenset(lengths)
    memo = {}

    def build(n, depth):
        if n == 0 or depth > max(allowed):
            return 0
        if (n, depth) not in memo:
            out, children = languages.nodes[n]
            memo[n, depth] = languages.get(
                out and depth in allowed,
                [build(c, depth + 1) for c in children])
        return memo[n, depth]

    return build(node, 0)


# ---------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------

def type_automaton(plan):
    """Output: the type that libphonenumber's GetNumberType answers."""
    if not plan.general:
        return Pool(UNKNOWN), 0
    names = [n for n in PRIORITY + ['FIXED_LINE', 'MOBILE']
             if n in plan.types]
    start = [restricted(language(plan.general), plan.lengths)]
    for n in names:
        text, lengths = plan.types[n]
        start.append(restricted(language(text), lengths))
    pool = Pool(UNKNOWN)
    memo = {}

    def answer(state):
        hit = {n for n, s in zip(names, state[1:]) if languages.nodes[s][0]}
        if not languages.nodes[state[0]][0]:
            return UNKNOWN
        for n in PRIORITY:
            if n in hit:
                return TYPE_ID[n]
        if 'FIXED_LINE' in hit:
            if plan.same or 'MOBILE' in hit:
                return TYPE_ID['FIXED_LINE_OR_MOBILE']
            return TYPE_ID['FIXED_LINE']
        if 'MOBILE' in hit and not plan.same:
            return TYPE_ID['MOBILE']
        return UNKNOWN

    def build(state):
        if state[0] == 0 or not any(state[1:]):
            return 0
        if state not in memo:
            children = [build(tuple(languages.nodes[s][1][d] for s in state))
                        for d in range(10)]
            memo[state] = pool.get(answer(state), children)
        return memo[state]

    return pool, build(tuple(start))


MATCHED = -1                    # leading digits seen: anything may follow

numbers = Pool(None)            # the shipped pool; outputs see below


def out_number(general, rank, type_id):
    """bit 0 general pattern of the main region, bits 1-4 type, bits 5 and up
    the rank of the region among those of its calling code (which lets all
    countries share nodes)"""
    return general | type_id << 1 | rank << 5


NOTHING = out_number(0, 0, UNKNOWN)
numbers.nodes[0] = (NOTHING, (0,) * 10)
numbers.ids = {numbers.nodes[0]: 0}


def code_automaton(plans):
    """One calling code: which region and type has a national number?"""
    general = language(plans[0].general) if plans[0].general else 0
    several = len(plans) > 1
    pools = []
    start = []
    for p in plans:
        pool, root = type_automaton(p)
        pools.append(pool)
        lead = 0
        if several and p.leading:
            lead = language(p.leading)
        start.append((lead, root))
    memo = {}

    def step(lead, d):
        if lead == MATCHED:
            return MATCHED
        lead = languages.nodes[lead][1][d]
        return MATCHED if languages.nodes[lead][0] else lead

    def answer(state):
        g = int(languages.nodes[state[0]][0])
        for rank, (p, pool, (lead, node)) in enumerate(
                zip(plans, pools, state[1:])):
            type_id = pool.nodes[node][0]
            if several and p.leading:
                if lead == MATCHED:
                    if type_id != UNKNOWN:
                        return out_number(g, rank, type_id)
                    break
            elif type_id != UNKNOWN:
                return out_number(g, rank, type_id)
        return out_number(g, 0, UNKNOWN)

    def build(state):
        if state[0] == 0 and not any(node for _, node in state[1:]):
            return 0
        if state not in memo:
            children = []
            for d in range(10):
                after = [languages.nodes[state[0]][1][d]]
                for pool, (lead, node) in zip(pools, state[1:]):
                    node = pool.nodes[node][1][d]
                    lead = step(lead, d)
                    # a dead region can still hide later ones by its leading
                    # digits, so they stay in the state
                    after.append((lead, node))
                children.append(build(tuple(after)))
            memo[state] = numbers.get(answer(state), children)
        return memo[state]

    return build(tuple([general] + start))


def general_automaton(plan):
    """The general pattern of one region alone, in the shipped pool."""
    memo = {0: 0}

    def build(n):
        if n not in memo:
            out, children = languages.nodes[n]
            memo[n] = numbers.get(out_number(int(out), 0, UNKNOWN),
                                  [build(c) for c in children])
        return memo[n]

    return build(language(plan.general)) if plan.general else 0


def leading_automaton(plans):
    """Leading digits: output = 1 + rank of the region, instead of a type."""
    roots = tuple(language(p.leading) if p.leading else 0 for p in plans)
    if not any(roots):
        return 0
    memo = {}

    def build(state):
        if not any(state):
            return 0
        if state not in memo:
            out = NOTHING
            for n, s in enumerate(state):
                if languages.nodes[s][0]:
                    out = out_number(0, n + 1, UNKNOWN)
                    break
            memo[state] = numbers.get(
                out, [build(tuple(languages.nodes[s][1][d] for s in state))
                      for d in range(10)])
        return memo[state]

    return build(roots)


def renumber():
    """New numbers for the nodes: those from which a valid number can be
    reached come first, so that phone.c can say which digit spoilt it."""
    live = [False] * len(numbers.nodes)
    for i, (out, children) in enumerate(numbers.nodes):
        # children were made before their parents
        live[i] = i != 0 and (out >> 1 & 15 != UNKNOWN or
                              any(live[c] for c in children))
    order = ([0] + [i for i in range(1, len(live)) if live[i]] +
             [i for i in range(1, len(live)) if not live[i]])
    number = {old: new for new, old in enumerate(order)}
    numbers.nodes = [(numbers.nodes[old][0],
                      tuple(number[c] for c in numbers.nodes[old][1]))
                     for old in order]
    return number, sum(live)


# ---------------------------------------------------------------------------
# Prefixes: leftmost alternative first, with captures
# ---------------------------------------------------------------------------

NO_CAPTURE = (0, 0, 0, 0)
prefixes = Pool((None, None))   # output: captures of a match (here, at end)


def prefix_automaton(text):
    """lookingAt() of a backtracking engine as a deterministic automaton.

    Output: the captures when the best thread ends here, and when it ends here
    provided that the input ends too ($).  A caller keeps the last match seen
    on its way; a match cuts all threads of lower priority.
    """
    program = Program(text)
    if program.groups > 2:
        raise ValueError('more than two groups in %r' % text)
    code = program.code
    memo = {}

    def threads(starts, position, at_end):
        """Ordered closure; cut below the first match."""
        out = []
        seen = set()
        match = None

        def visit(pc, caps):
            nonlocal match
            if match is not None or pc in seen:
                return
            seen.add(pc)
            op = code[pc]
            if op[0] == 'split':
                visit(op[1], caps)
                visit(op[2], caps)
            elif op[0] == 'jump':
                visit(op[1], caps)
            elif op[0] == 'save':
                new = list(caps)
                new[op[1]] = position
                visit(pc + 1, tuple(new))
            elif op[0] == 'end':
                if at_end:
                    visit(pc + 1, caps)
            elif op[0] == 'match':
                match = caps
            else:
                out.append((pc, caps))

        for pc, caps in starts:
            visit(pc, caps)
        return tuple(out), match

    def build(starts, position):
        alive, match = threads(starts, position, False)
        _, end_match = threads(starts, position, True)
        if not alive and match is None and end_match is None:
            return 0
        key = (alive, match, end_match, position)
        if key not in memo:
            children = []
            for d in range(10):
                after = [(pc + 1, caps) for pc, caps in alive
                         if code[pc][1] >> d & 1]
                children.append(build(after, position + 1) if after else 0)
            memo[key] = prefixes.get((match, end_match), children)
        return memo[key]

    return build([(0, NO_CAPTURE)], 0), program.groups


def common_digits(cc, idd, prefix, groups, group):
    """Digits (bit n: digit n) for which nothing needs to be tried.

    - kept: a number that begins with this digit has no national prefix;
    - bare: and the text neither an international prefix nor the calling code;
    - trunk_0: in a text that begins with 0 and this digit, the 0 is the
      national prefix, no more and no less, and there is no other prefix.
    """
    def node(n):
        return prefixes.nodes[n]

    def dead_after(root, *digits):
        """Does no match end before, at or behind these digits?"""
        for d in digits:
            if root == 0:
                return True
            if node(root)[0][0] is not None:
                return False
            root = node(root)[1][d]
        return root == 0

    kept = bare = trunk_0 = 0
    for d in range(10):
        if dead_after(prefix, d):
            kept |= 1 << d
            if dead_after(idd, d) and int(str(cc)[0]) != d:
                bare |= 1 << d
        if prefix and node(prefix)[0][0] is None and dead_after(idd, 0, d):
            match, children = node(node(prefix)[1][0])
            if match[0] is not None and children[d] == 0 and not (
                    group and match[0][2 * groups - 1] >
                    match[0][2 * groups - 2]):
                trunk_0 |= 1 << d
    return kept, bare, trunk_0


# ---------------------------------------------------------------------------
# Output
# ---------------------------------------------------------------------------

APACHE = '''\
 * Copyright (C) The Libphonenumber Authors
 *
 * Licensed under the Apache License, Version 2.0 (the "License"); you may not
 * use this file except in compliance with the License.  A copy stands in
 * LICENSES/Apache-2.0.txt, and at http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
 * WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.  See the
 * License for the specific language governing permissions and limitations
 * under the License.
 *
 * Changed: this is not the original metadata, but automata computed from it.
'''


def wrap(items, indent='\t', width=78):
    lines = []
    line = indent
    for item in items:
        piece = item + ', '
        if len((line + piece).expandtabs(4).rstrip()) > width:
            lines.append(line.rstrip())
            line = indent
        line += piece
    lines.append(line.rstrip().rstrip(','))
    return '\n'.join(lines)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ('js', 'python'):
        raise SystemExit(__doc__)
    sys.setrecursionlimit(10000)
    reader = read_js if sys.argv[1] == 'js' else read_python
    plans, codes, version, source = reader(sys.argv[2])

    regions = sorted(r for r in plans if not r.startswith(NON_GEOGRAPHIC))
    order = regions + sorted((r for r in plans
                              if r.startswith(NON_GEOGRAPHIC)),
                             key=lambda r: plans[r].cc)
    plan_id = {r: i for i, r in enumerate(order)}
    if len(order) > 255:
        raise SystemExit('more than 255 plans')

    code_rows = []
    members_of = []             # plans of the codes, main region first
    for cc in sorted(codes):
        members = [plans[r] for r in codes[cc]]
        root = code_automaton(members)
        lead = leading_automaton(members) if len(members) > 1 else 0
        code_rows.append((cc, len(members_of), len(members), root, lead))
        members_of += [plan_id[r] for r in codes[cc]]

    captures = [None]           # record 0 means: no match

    general_roots = {r: general_automaton(plans[r]) for r in order
                     if codes[plans[r].cc][0] != r}
    new_number, n_live = renumber()
    code_rows = [(cc, first, n, new_number[root], new_number[lead])
                 for cc, first, n, root, lead in code_rows]

    def record(caps):
        if caps is None:
            return 0
        if caps not in captures:
            captures.append(caps)
        return captures.index(caps)

    plan_rows = []
    for r in order:
        p = plans[r]
        main_region = codes[p.cc][0] == r
        general = 0 if main_region else new_number[general_roots[r]]
        idd = prefix_automaton(p.idd)[0] if p.idd else 0
        prefix, groups = prefix_automaton(p.prefix) if p.prefix else (0, 0)
        lead_text, group = '', 0
        if p.transform:
            m = re.fullmatch(r'(\d*)\$([12])', p.transform)
            if not m or not groups:
                raise SystemExit('transform rule %r of %s' % (p.transform, r))
            lead_text = m.group(1)
            group = int(m.group(2))
        mask = 0
        for n in p.lengths:
            mask |= 1 << n
        plan_rows.append((p.region, p.cc, int(main_region), mask, general,
                          idd, prefix, groups, lead_text, group) +
                         common_digits(p.cc, idd, prefix, groups, group))

    prefix_rows = []
    for (match, end_match), children in prefixes.nodes:
        prefix_rows.append((children, record(match), record(end_match)))

    w = sys.stdout.write
    w('/*-------------------------------------------------------------------'
      '------\n *\n * phone_tables.h\n')
    w(' *\t\tThe numbering plans of the world as automata.\n *\n')
    w(' * Generated by gen_phone_tables.py; do not edit.\n *\n')
    w(' * Source:   %s\n' % source)
    w(' * Metadata: libphonenumber %s\n' % version)
    if sys.argv[1] == 'js':
        w(' * Command:  make update-phone-metadata\n')
    w(' *\n')
    w(APACHE)
    w(' *\n *-----------------------------------------------------------------'
      '--------\n */\n')
    w('#define LN_PHONE_METADATA_VERSION "%s"\n\n' % version)
    numeric = tuple(int(x) for x in version.split('.'))
    w('/* does this version refuse a malformed ";phone-context="? */\n')
    w('#define LN_PHONE_CHECKS_CONTEXT %d\n\n' % (numeric >= (8, 13)))
    w('#define LN_PHONE_N_REGIONS %d\n' % len(regions))
    w('#define LN_PHONE_N_PLANS %d\n' % len(order))
    w('#define LN_PHONE_N_CODES %d\n\n' % len(code_rows))
    w('/* beyond this node no valid number can be reached any more */\n')
    w('#define LN_PHONE_LAST_LIVE %d\n\n' % n_live)

    w('/* next node for each digit; general | type << 1 | rank << 5 */\n')
    w('static const PhoneNode phone_nodes[] = {\n')
    for out, children in numbers.nodes:
        w('\t{{%s}, %d},\n' % (', '.join(str(c) for c in children), out))
    w('};\n\n')

    w('/* next node for each digit; capture record + 1 of a match, and of a '
      'match at the end of the input */\n')
    w('static const PrefixNode phone_prefix_nodes[] = {\n')
    for children, match, end_match in prefix_rows:
        w('\t{{%s}, %d, %d},\n' % (', '.join(str(c) for c in children),
                                   match, end_match))
    w('};\n\n')

    w('/* where groups 1 and 2 begin and end */\n')
    w('static const uint8_t phone_captures[][4] = {\n')
    for caps in captures[1:]:
        w('\t{%s},\n' % ', '.join(str(c) for c in caps))
    w('};\n\n')

    w('/* region, calling code index, main region of it?, possible lengths, '
      'general pattern (if not main), IDD, national prefix, groups, '
      'transform: text and group, first digits: kept, bare, behind 0 */\n')
    w('static const PhonePlan phone_plans[] = {\n')
    code_index = {row[0]: i for i, row in enumerate(code_rows)}
    for (region, cc, main_region, mask, general, idd, prefix, groups, text,
         group, kept, bare, trunk_0) in plan_rows:
        w('\t{"%s", %d, %d, 0x%x, %d, %d, %d, %d, "%s", %d, '
          '0x%x, 0x%x, 0x%x},\n'
          % (region, code_index[cc], main_region, mask, general, idd, prefix,
             groups, text, group, kept, bare, trunk_0))
    w('};\n\n')

    w('/* calling code, its text and length, first of its plans, how many, '
      'automaton, leading digits */\n')
    w('static const PhoneCode phone_codes[] = {\n')
    for cc, first, n, root, lead in code_rows:
        w('\t{%d, "%d", %d, %d, %d, %d, %d},\n'
          % (cc, cc, len(str(cc)), first, n, root, lead))
    w('};\n\n')

    w('/* the plans of all calling codes, main region first */\n')
    w('static const uint8_t phone_code_plans[] = {\n')
    w(wrap(str(x) for x in members_of))
    w('\n};\n\n')

    by_code = [0] * 1000
    for i, row in enumerate(code_rows):
        by_code[row[0]] = i + 1
    w('/* calling code -> 1 + index in phone_codes */\n')
    w('static const uint8_t phone_code_index[1000] = {\n')
    w(wrap(str(x) for x in by_code))
    w('\n};\n\n')

    by_name = [0] * 676
    for i, r in enumerate(regions):
        by_name[(ord(r[0]) - 65) * 26 + ord(r[1]) - 65] = i + 1
    w('/* two letters of a region -> 1 + index in phone_plans */\n')
    w('static const uint8_t phone_region_index[676] = {\n')
    w(wrap(str(x) for x in by_name))
    w('\n};\n')

    print('%d nodes, %d prefix nodes, %d captures, %d plans, %d calling codes'
          % (len(numbers.nodes), len(prefix_rows), len(captures) - 1,
             len(order), len(code_rows)), file=sys.stderr)


if __name__ == '__main__':
    main()
