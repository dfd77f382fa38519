#!/usr/bin/env python3
"""Real runs held against the model.

    replay.py [--requests FILE] TRACE...     check the traces of one test
    replay.py --events                       events and actions, for mapping.sh

A trace is what line_notify.trace_file got (src/db/trace.h), with what the tests
saw in the tables in between (LineNotify::Node).  Each line is a step of
delivery.pml; what the model says of it stands once, in the two tables ROW and
PLACE below, and MAPPING.md names the event beside the action.  A step whose
guard is false in every state that the message can be in is foreign.

A message can be in several states at once, because some steps leave no line:
a commit whose process was killed before it could say so, a record that a crash
took, what a verb of an operator did.  They are in table SILENT, each with the
evidence that it needs.

Prints one line for each foreign step, then the count; status 1 when there is
one.
"""
import sys
from collections import namedtuple, defaultdict

# ---- what a message is in the database: the model's typedef Row ----

# st: queued, aside, or the state it ended in; lease: token or 0; aside: what is
# to be recorded then
Row = namedtuple('Row', 'st lease att maybe delivered aside')

SENT = ('accepted', 'server_error', 'ambiguous')     # ln_line_may_have_been_sent()
NOT_TAKEN = ('unreachable', 'refused', 'throttled', 'unauthorized', 'misconfigured')
BACK = ('retry', 'return')


def decide(outcome, attempt, limit, maybe, on_unknown, on_server_error):
    """The model's decide(); limit None: not known, a set of what it can be."""
    if outcome == 'accepted':
        return {'accepted'}
    if outcome in ('unreachable', 'refused'):
        return {'unknown' if maybe else outcome}
    if outcome in ('throttled', 'unauthorized', 'misconfigured'):
        return {'return'}
    if outcome == 'not_sent':
        end = 'unknown' if maybe else 'failed'
        again = 1
    else:
        end = 'unknown'
        again = on_unknown if outcome == 'ambiguous' else on_server_error
    if not again:
        return {end}
    if limit is None:
        return {'retry', end}
    return {'retry'} if attempt < limit else {end}


def recorded(w, outcome, nxt):
    """The model's write_record() under a lease that is held."""
    if nxt in BACK:
        if w.delivered:
            return w._replace(st='delivered', lease=0, delivered=0, aside=None)
        return w._replace(st='queued', lease=0, att=w.att + (nxt == 'retry'),
                          maybe=int(w.maybe or outcome in SENT), aside=None)
    return w._replace(st='delivered' if w.delivered else nxt, lease=0, delivered=0, aside=None)


STOLEN = -1                     # a lease: somebody else's


def waits(w):
    return w.st == 'queued' and w.lease == 0


# event, action of the model, guard, effect: of the row, in the transaction
ROW = [
    ('claim', 'claim: lease, and its commit',
     lambda w, e: waits(w) and w.att + 1 == e.attempt and w.maybe == e.maybe,
     lambda w, e: w._replace(lease=e.token)),
    ('record', 'write_record()',
     lambda w, e: w.lease == e.token,
     lambda w, e: recorded(w, e.outcome, e.next)),
    ('aside', 'record: the tables refuse it, it is set aside',
     lambda w, e: w.lease == e.token,
     lambda w, e: w._replace(st='aside', lease=0, aside=(e.outcome, e.next))),
    ('rescue', 'rescue: list of leases',
     lambda w, e: w.lease == e.token and w.att + 1 == e.attempt and w.maybe == e.maybe,
     lambda w, e: w),
    ('rescue', 'rescue: list of leases',        # of one that a test has stolen
     lambda w, e: w.lease == STOLEN,
     lambda w, e: w._replace(lease=e.token)),
    ('fold', 'delivery event, folded',
     lambda w, e: w.lease != 0,
     lambda w, e: w._replace(delivered=1)),
    ('fold', 'delivery event, folded',
     lambda w, e: w.st == 'aside',
     lambda w, e: w._replace(delivered=1)),
    ('fold', 'delivery event, folded',
     lambda w, e: w.lease == 0 and w.st != 'aside',
     lambda w, e: w._replace(st='delivered')),
    ('held', 'claim: what may not go stays',
     lambda w, e: waits(w), lambda w, e: w),
    ('stopped', 'claim: what may not go ends',
     lambda w, e: waits(w), lambda w, e: w._replace(st=e.state)),
]

# What leaves no line: action, evidence in the trace, guard, effect
SILENT = [
    ('redrive()', 'redrive',
     lambda w: w.st not in ('aside', 'invalid', 'suppressed') and w.lease == 0 and not w.maybe
     and w.st not in ('accepted', 'delivered', 'unknown', 'undelivered'),
     lambda w: w._replace(st='queued', att=0)),
    ('redrive()', 'duplicates',
     lambda w: w.st not in ('aside', 'invalid', 'suppressed') and w.lease == 0,
     lambda w: w._replace(st='queued', att=0, delivered=0,
                          maybe=int(w.maybe or w.st in ('accepted', 'delivered', 'unknown', 'undelivered')))),
    ('... and recorded when they take it', None,
     lambda w: w.st == 'aside',
     lambda w: recorded(w, *w.aside)),
]

# What the tables may say of a row that the trace has in that state: verbs, expiry,
# time-outs.  (state of the trace) -> states of history
END_OF_WAITING = {'cancelled', 'expired', 'failed', 'suppressed'}
LATER = {'accepted': {'undelivered'}, 'unknown': {'undelivered'}, 'suppressed': END_OF_WAITING}

# event, action of the model, phases of the attempt that it may come in, phase after
PLACE = {
    'entry':    ('claim: journal entry', (None,), 'entry'),
    'claim':    ('claim: lease, and its commit', ('entry',), 'claimed'),
    'asked':    ('the journal, then the bytes; broken send; deadline', ('claimed', 'asked'), 'asked'),
    'sent':     ('the journal, then the bytes; broken send; deadline', ('asked',), 'sent'),
    'answered': ('a complete answer, noted in the journal',
                 ('claimed', 'asked', 'sent'), 'done'),
    'record':   ('record', ('done', 'rescued'), 'recorded'),
    'aside':    ('record: the tables refuse it, it is set aside', ('done', 'rescued'), 'recorded'),
    'freed':    ('the entry is freed, its record being flushed', ('recorded',), 'freed'),
    'rescue':   ('rescue: lock, journal, record', ('claimed', 'asked', 'sent', 'done', 'recorded', 'rescued'), 'rescued'),
}
# of a whole claimer, or its file
PROCESS = {
    'start': 'start: session lock',
    'commit': 'claim: durable',
    'abort': 'write_record()',
    'left': 'orderly end; it flushes first',
    'swept': 'sweep; it flushes first',
    'dropped': 'DROP EXTENSION: its messages are gone',
}

# within a transaction
IN_TRANSACTION = ('claim', 'record', 'aside', 'rescue', 'fold', 'held', 'stopped')
RULES = defaultdict(list)
for rule in ROW:
    RULES[rule[0]].append(rule[2:])

# what belongs to an event; with a colon, a word, else a number
FIELDS = {name: [(f.rstrip(':'), f[-1] == ':') for f in fields.split()] for name, fields in {
    'entry': 'id token', 'claim': 'id token attempt maybe home',
    'asked': 'id token journal on_unknown on_server_error limit', 'sent': 'id token',
    'answered': 'id token outcome: status next: attempted asked complete',
    'record': 'id token outcome: next: held of', 'aside': 'id token outcome: next:',
    'freed': 'id token end flushed',
    'rescue': 'id token dead: journal: status outcome: next: attempt maybe',
    'fold': 'id token', 'held': 'id', 'stopped': 'id state:',
    'start': 'timeline inode', 'commit': 'end flushed standby:', 'abort': 'nothing:',
    'left': 'flushed', 'swept': 'dead: flushed', 'dropped': 'nothing:',
    # of the tests: look.sql, LineNotify::Node
    'look': 'what:', 'row': 'id place: state: attempts maybe token', 'op': 'verb: duplicates', 'doubt': 'nothing:',
    'hand': 'id', 'stolen': 'id', 'journals': 'nothing:', 'copy': 'of inode', 'resend': 'nothing:',
}.items()}
HAS_ID = {name for name, fields in FIELDS.items() if ('id', False) in fields}
HAS_TOKEN = {name for name, fields in FIELDS.items() if ('token', False) in fields}


class Event:
    __slots__ = ['name', 'at', 'who', 'db', 'line'] + sorted({f for fields in FIELDS.values() for f, _ in fields})

    def __init__(self, words, line):
        self.name, at, self.who, self.db = words[:4]
        self.at = int(at)
        self.line = line
        fields = FIELDS[self.name]
        if len(words) != len(fields) + 5:
            raise ValueError('other fields')
        for (field, is_word), word in zip(fields, words[4:]):
            setattr(self, field, word if is_word else int(word))


class Attempt:
    """A place of a claimer with its entry in the journal."""
    __slots__ = ('token', 'who', 'phase', 'number', 'maybe', 'outcome', 'next', 'on_unknown', 'on_server_error',
                 'limit', 'committed', 'cut', 'lsn', 'freed', 'asked', 'asked_at', 'complete', 'status', 'key', 'whole', 'rescued')

    def __init__(self, token, who, key):
        self.token, self.who, self.key = token, who, key
        self.phase = None
        self.number = self.maybe = self.outcome = self.next = self.limit = None
        self.on_unknown = self.on_server_error = 0
        self.committed = None       # end of the claim's commit record
        self.lsn = None             # of its record
        self.freed = self.asked = self.whole = self.rescued = False
        self.cut = False            # that commit did not wait for its standby
        self.asked_at = None        # by a line of its own
        self.complete = self.status = 0

    def may_have_left(self):
        if not self.asked:
            return False
        return self.outcome not in NOT_TAKEN and self.outcome != 'not_sent'

    def again(self):
        """Does the policy say that it is sent once more, although it may have left?"""
        return self.next == 'retry' and (self.on_unknown if self.outcome == 'ambiguous' else self.on_server_error)


class Message:
    __slots__ = ('worlds', 'attempts', 'past', 'home', 'open', 'touched')

    def __init__(self):
        self.worlds = None          # not known: what comes first tells
        self.attempts = {}
        self.past = ()              # (worlds before, end of the commit, number of the line)
        self.home = None
        self.open = ()              # claimers with a transaction about it
        self.touched = 0            # line of the last commit about it


class Claimer:
    __slots__ = ('name', 'transaction', 'live', 'dead', 'known', 'left')

    def __init__(self, name):
        self.name = name
        self.transaction = []
        self.live = {}              # token -> attempt whose journal entry is in use
        self.dead = None            # why: its lock was free, or its file gone
        self.known = False          # the trace has its start
        self.left = False


class Foreign(Exception):
    pass


class Replay:
    def __init__(self, path, tokens):
        self.path = path
        self.tokens = tokens        # of all traces: token -> attempt
        self.foreign = []
        self.messages = {}
        self.claimers = {}
        self.flushed = 0
        self.gone = set()           # tokens of messages that went with the extension
        self.starts = []            # (line, flushed when a claimer started)
        self.place = None
        self.evidence = set()
        self.by_hand = set()        # messages that the test itself has changed
        self.adopting = False       # what was before is not known
        self.events = 0
        self.seen = set()           # every message ever
        self.last_claim = {}        # by database: line, claimer
        self.looks = 0
        self.compared = 0
        self.look = {}
        self.of = None              # a copy: of which server
        self.inodes = set()
        self.attempts = []          # all that there ever were
        self.rows = {}              # what the tables said last

    def run(self):
        # what verbs were used is known when the tables are looked at
        for e in self.lines(('op ', 'doubt ', 'hand ', 'resend ')):
            if e.name == 'op':
                self.evidence.add('redrive')
                if e.duplicates:
                    self.evidence.add('duplicates')
            elif e.name == 'doubt':
                self.evidence.add('doubt')
            elif e.name == 'resend':
                self.evidence.add('resend')
            elif e.name == 'hand':
                self.by_hand.add((e.db, e.id))
        for e in self.lines():
            self.events += 1
            try:
                self.step(e)
            except Foreign as f:
                self.complain(e, str(f))
        return self

    def lines(self, begin=''):
        with open(self.path, encoding='utf-8', errors='replace') as f:
            for n, line in enumerate(f, 1):
                if not line.startswith(begin):
                    continue
                words = line.split()
                if not words:
                    continue
                if words[-1] != '.':
                    continue        # cut short by a kill: whoever wrote it did no more
                try:
                    yield Event(words, n)
                except (ValueError, KeyError):
                    self.foreign.append(f'{self.path}:{n}: not understood: {line.strip()}')

    def complain(self, e, why):
        what = f' message {e.id}' if e.name in HAS_ID else ''
        token = f' token {e.token}' if e.name in HAS_TOKEN else ''
        self.foreign.append(f'{self.path}:{e.line}: {e.name}{what}{token}: {why}')

    def claimer(self, db, name):
        """Of that database: a copy has the leases of another's, whom it cannot know."""
        c = self.claimers.get((db, name))
        if c is None:
            c = self.claimers[db, name] = Claimer(name)
        return c

    def message(self, e):
        m = self.messages.get((e.db, e.id))
        if m is None:
            m = self.messages[e.db, e.id] = Message()
        return m

    # ---- steps ----

    def step(self, e):
        if e.name in ('op', 'doubt', 'hand', 'resend'):
            return
        if e.name == 'copy':
            self.adopting = True
            self.of = e.of
            self.inodes.add(e.inode)
            return
        if e.name == 'stolen':
            m = self.message(e)
            m.worlds = [w._replace(lease=STOLEN) for w in m.worlds or [Row('queued', 0, 0, 0, 0, None)]]
            m.past = ()
            return
        if e.name == 'journals':
            for c in self.claimers.values():
                c.live.clear()
            return
        if (e.db, getattr(e, 'id', None)) in self.by_hand:
            if e.name == 'record':
                self.claimer(e.db, e.who).transaction.append(e)
            if e.name in HAS_TOKEN:
                self.tokens.setdefault(e.token, None)
            return
        if e.name in ('look', 'row'):
            self.see(e)
            return
        c = self.claimer(e.db, e.who)
        if e.name == 'start':
            self.start(c, e)
            return
        if c.dead:
            raise Foreign(f'of a claimer whose {c.dead}')
        if e.name in IN_TRANSACTION:
            if e.name != 'fold':
                self.place_step(c, e)
            m = self.message(e)
            if c not in m.open:
                m.open += (c,)
            c.transaction.append(e)
            if e.name == 'claim':
                self.last_claim[e.db] = e.line, c.name
        elif e.name == 'commit':
            self.flushed = max(self.flushed, e.flushed)
            self.commit(c, e)
        elif e.name == 'abort':
            self.abort(c)
        elif e.name == 'dropped':
            for key in [k for k in self.messages if k[0] == e.db]:
                self.gone.update(self.messages.pop(key).attempts)
        elif e.name == 'left':
            self.flushed = max(self.flushed, e.flushed)
            self.end_of_file(c, e, 'an orderly end')
            c.left = True
        elif e.name == 'swept':
            self.flushed = max(self.flushed, e.flushed)
            dead = self.claimer(e.db, e.dead)
            if dead is c:
                raise Foreign('its own file')
            for x in c.transaction:
                if x.name in ('record', 'aside') and x.token in dead.live:
                    self.complain(e, f'the sweep: the record of message {x.id} has not committed')
            self.end_of_file(dead, e, 'the sweep')
            dead.dead = dead.dead or 'file was swept'
        else:
            self.place_step(c, e)

    def start(self, c, e):
        if c.known:
            raise Foreign('it has started before')
        c.known = True
        place = (e.timeline, e.inode)
        self.inodes.add(e.inode)
        if self.place is not None and place != self.place:
            # a copy, or a promotion: other commits than these are the past
            self.messages.clear()
            self.claimers = {(e.db, c.name): c}
            self.adopting = True
        if self.place is None and e.timeline > 1:
            self.adopting = True
        self.place = place
        self.starts.append((e.line, self.flushed))

    def place_step(self, c, e):
        """What the claimer does with one of its places, or a rescuer finds of it."""
        m = self.message(e) if e.name in HAS_ID else None
        if e.name not in HAS_TOKEN:
            return
        a = m.attempts.get(e.token)
        if a is None and e.token in self.gone and e.name in ('answered', 'freed'):
            return              # its place is still the claimer's
        if a is None:
            a = Attempt(e.token, c.name if e.name != 'rescue' else e.dead, (e.db, e.id))
            if e.name != 'entry':
                # begun before the trace was, or where we were not
                owner = self.claimer(e.db, a.who)
                if owner.known and not (e.name == 'rescue' and self.adopting):
                    raise Foreign('an attempt that was never claimed')
                a.phase = PLACE[e.name][1][0]
                a.asked = a.whole = e.name in ('sent', 'record', 'aside', 'freed')
                a.outcome, a.next = (e.outcome, e.next) if e.name in ('record', 'aside') else (None, None)
                if e.name in ('answered', 'rescue'):
                    a.asked = a.whole = True
                if e.name == 'answered':
                    a.phase = 'sent'
            m.attempts[e.token] = a
            self.attempts.append(a)
            self.tokens.setdefault(e.token, a)
        action, before, after = PLACE[e.name]
        if e.name == 'freed' and a.freed:
            raise Foreign('it was free')
        phase, a.phase = a.phase, after     # one fault is told once
        if phase not in before:
            raise Foreign(f'{action}: the attempt is {phase}, not {" or ".join(map(str, before))}')
        check = getattr(self, 'check_' + e.name, None)
        if check:
            check(c, m, a, e, phase)

    def check_entry(self, c, m, a, e, phase):
        c.live[a.token] = a

    def check_claim(self, c, m, a, e, phase):
        a.number, a.maybe = e.attempt, e.maybe
        if m.home is not None and m.home != e.home:
            # another life: the extension was created anew, or armed elsewhere
            m.worlds, m.past = None, ()
            m.attempts = {a.token: a}
        m.home = e.home
        self.seen.add((e.db, e.id))

    def check_asked(self, c, m, a, e, phase):
        if a.who != c.name:
            raise Foreign('sent by another than claimed it')
        if e.journal != 1:
            raise Foreign('bytes go out, and the journal does not say so')
        if c.known:
            if a.committed is None:
                raise Foreign('bytes go out, and the claim is not committed')
            if a.committed > self.flushed:
                raise Foreign('bytes go out, and the claim is not on disk')
            if a.cut:
                raise Foreign('bytes go out, and the wait of the claim for its standby was cut short')
            if a.whole:
                raise Foreign('the request was taken whole already')
            if m.worlds is not None and not any(w.lease == a.token for w in m.worlds) and \
                    not self.explain(m, lambda w: w.lease == a.token, c):
                raise Foreign('bytes go out without a lease')
        a.on_unknown, a.on_server_error, a.limit = e.on_unknown, e.on_server_error, e.limit
        for other in m.attempts.values():
            if other is not a and other.may_have_left() and not other.again() and \
                    'duplicates' not in self.evidence:
                raise Foreign(f'once: attempt {other.number} (token {other.token}, {other.outcome or "no answer"}) may have left')
        a.asked = True
        a.asked_at = e.at

    def check_sent(self, c, m, a, e, phase):
        a.whole = True

    def check_answered(self, c, m, a, e, phase):
        o = e.outcome
        if not e.attempted:
            if a.asked:
                raise Foreign('given back as not tried, and bytes went out')
            if (o, e.next) != ('not_sent', 'return'):
                raise Foreign('given back as it came, but as something else')
        else:
            if o == 'not_sent' and a.whole:
                raise Foreign('proved not sent, and the request was taken whole')
            if o != 'not_sent' and not a.asked:
                raise Foreign(f'{o}, and no byte went out')
            if o == 'accepted' and not a.whole:
                raise Foreign('accepted, and the request was not taken whole')
            if o not in ('not_sent', 'ambiguous') and c.known and not e.complete:
                raise Foreign(f'a complete answer ({o}) that the journal does not have')
            if a.number is not None and \
                    e.next not in decide(o, a.number, a.limit, a.maybe, a.on_unknown, a.on_server_error):
                raise Foreign(f'decide({o}, attempt {a.number}, maybe {a.maybe}) is not {e.next}')
        a.outcome, a.next, a.complete, a.status = o, e.next, e.complete, e.status

    def check_record(self, c, m, a, e, phase):
        if a.next is not None and (e.outcome, e.next) != (a.outcome, a.next):
            raise Foreign(f'{e.outcome}, {e.next} is recorded, and it was {a.outcome}, {a.next}')
        if phase == 'done' and a.who != c.name:
            raise Foreign('recorded by another than sent it')

    check_aside = check_record

    def check_freed(self, c, m, a, e, phase):
        if e.end > e.flushed:
            raise Foreign('its record is not on disk')
        if a.lsn is not None and a.lsn > e.flushed:
            raise Foreign('its record is not on disk')
        a.freed = True
        c.live.pop(a.token, None)
        self.flushed = max(self.flushed, e.flushed)

    def check_rescue(self, c, m, a, e, phase):
        owner = self.claimer(e.db, e.dead)
        if owner is c:
            raise Foreign('its own lease')
        owner.dead = owner.dead or 'session lock was found free'
        if a.who != owner.name:
            raise Foreign('the lease of another claimer')
        j = e.journal
        if j == 'none':
            if owner.known and a.token in owner.live and not owner.left and phase != 'rescued':
                raise Foreign('its journal entry is gone')
            if e.outcome != 'ambiguous':
                raise Foreign('without a journal it is not unknown')
        elif a.freed or owner.known and a.token not in owner.live and phase != 'rescued':
            raise Foreign('a journal entry that was free, or is not its own')
        elif j == 'unasked':
            if a.asked:
                raise Foreign('bytes went out, and the journal says no')
            if (e.outcome, e.next) != ('not_sent', 'return'):
                raise Foreign('it never left, and does not go back as it came')
        else:
            if j == 'asked' and a.complete and owner.known:
                raise Foreign('there was an answer, and the journal does not have it')
            if j == 'asked' and e.outcome != 'ambiguous':
                raise Foreign(f'sent without an answer is {e.outcome}')
            if j == 'complete':
                if not a.asked and owner.known:
                    raise Foreign('an answer, and no byte went out')
                if e.outcome in ('ambiguous', 'not_sent') or e.status == 0:
                    raise Foreign('there is an answer, and it is not believed')
                if a.complete and (a.status, a.outcome) != (e.status, e.outcome):
                    raise Foreign(f'the answer was {a.status}, {a.outcome}')
            # the last step before it was killed has no line
            a.asked = True
        if phase == 'recorded' and j != 'none' and (e.outcome, e.next) != (a.outcome, a.next):
            raise Foreign(f'its record was lost, and not made again the same: {a.outcome}, {a.next}')
        if j != 'unasked' and \
                e.next not in decide(e.outcome, e.attempt, None, e.maybe, a.on_unknown, a.on_server_error):
            raise Foreign(f'decide({e.outcome}, attempt {e.attempt}, maybe {e.maybe}) is not {e.next}')
        a.number, a.maybe = e.attempt, e.maybe
        a.outcome, a.next = e.outcome, e.next
        a.rescued = True

    # ---- transactions ----

    def commit(self, c, e, assumed=False):
        events, c.transaction = c.transaction, []
        end = e.end if not assumed else None
        batch = []
        for x in events:
            m = self.message(x)
            m.open = tuple(o for o in m.open if o is not c)
            m.touched = e.line
            try:
                if x.name == 'record':
                    batch.append(x)
                    if len(batch) == x.of:
                        whole, batch = batch, []
                        self.record(c, whole, end, e)
                    continue
                self.row_step(c, m, x, end, e)
            except Foreign as f:
                self.complain(x, str(f))
        if batch:
            self.complain(batch[0], 'the batch is not complete')
        x = next((x for x in events if x.name == 'claim'), None)
        if x is None or assumed:
            return
        if e.end > e.flushed:
            self.complain(x, 'claimed by a commit that is not on disk')
        line, who = self.last_claim[e.db]
        if who != c.name and line > x.line:
            self.complain(x, f'two claim at a time, the other one in line {line}')

    def record(self, c, batch, end, e):
        hits = perhaps = 0
        for x in batch if end is not None and end > e.flushed else ():
            a = self.message(x).attempts.get(x.token)
            if a is not None and (x.next in BACK or a.on_unknown or a.on_server_error or e.standby != 'none'):
                self.complain(x, 'its record is not on disk, and may not be lost')
        for x in batch:
            if (x.db, x.id) in self.by_hand:
                perhaps += 1
                continue
            m = self.message(x)
            a = m.attempts.get(x.token)
            if a is None:
                perhaps += 1        # the extension was dropped meanwhile
                continue
            a.lsn = end
            if m.worlds is None:
                perhaps += 1
                self.row_step(c, m, x, end, e)
            elif any(w.lease == x.token for w in m.worlds) or \
                    self.explain(m, lambda w, t=x.token: w.lease == t, c):
                hits += 1
                self.row_step(c, m, x, end, e)
        if not hits <= batch[0].held <= hits + perhaps:
            raise Foreign(f'{batch[0].held} of {len(batch)} were recorded, under {hits} leases')

    def row_step(self, c, m, x, end, e):
        if x.name in ('claim', 'aside'):
            a = m.attempts.get(x.token)
            if a is None:
                return
            if x.name == 'claim':
                a.committed = end if end is not None else 0
                a.cut = e.name == 'commit' and e.standby == 'cut'
            else:
                a.lsn = end
        if m.worlds is None:
            m.worlds = [first(x)]
            if m.worlds == [None]:
                m.worlds = None
                return
        if x.name == 'fold' and x.token != 0 and x.token not in m.attempts:
            return                  # of another server, or of a life before
        after = self.apply(m.worlds, x)
        if not after:
            self.explain(m, lambda w: any(g(w, x) for g, _ in RULES[x.name]), c)
            after = self.apply(m.worlds, x)
        if not after:
            before, m.worlds = m.worlds, None
            raise Foreign(f'{RULE_NAMES[x.name]}: the message is {describe(before)}')
        if x.name == 'fold' and not self.is_last(m, x):
            after = unique(after + m.worlds)
        if after != m.worlds:
            keep = tuple(p for p in m.past if p[1] is None or p[1] > self.flushed or self.reborn(p))
            m.past = keep + ((m.worlds, end, e.line),)
            m.worlds = after

    def is_last(self, m, x):
        return x.token == 0 or x.token == next(reversed(m.attempts))

    @staticmethod
    def apply(worlds, x):
        return unique([effect(w, x) for w in worlds for guard, effect in RULES[x.name] if guard(w, x)])

    def reborn(self, past):
        """Can a crash have taken that commit?"""
        _, end, line = past
        for at, flushed in self.starts:
            if at > line:
                return end is None or end > flushed
        return False

    def explain(self, m, wanted, c):
        """Adds what can be without a line; is there a state as wanted then?"""
        # a transaction of which only the commit has no line
        for other in m.open:
            if other is not c and other.transaction:
                self.commit(other, other.transaction[-1], assumed=True)
        if any(map(wanted, m.worlds)):
            return True
        worlds = list(m.worlds)
        for past in reversed(m.past):
            if self.reborn(past):
                worlds += past[0]
        for _ in range(3):
            for _, evidence, guard, effect in SILENT:
                if evidence is None or evidence in self.evidence:
                    worlds += [effect(w) for w in worlds if guard(w)]
            worlds = unique(worlds)
        found = [w for w in worlds if wanted(w)]
        if found:
            # a lease that is there again was not recorded
            for w in found:
                a = m.attempts.get(w.lease)
                if a is not None and a.phase in ('recorded', 'freed') and not a.freed:
                    a.lsn = None
            m.worlds = unique(found)
        return bool(found)

    def abort(self, c):
        for x in c.transaction:
            m = self.message(x)
            m.open = tuple(o for o in m.open if o is not c)
            a = m.attempts.get(getattr(x, 'token', None)) if x.name != 'fold' else None
            if a is None:
                continue
            if x.name == 'claim':
                a.phase = None
                c.live.pop(a.token, None)
                del m.attempts[a.token]
            elif x.name in ('record', 'aside'):
                a.phase = 'rescued' if a.rescued else 'done'
        c.transaction = []

    def end_of_file(self, c, e, why):
        for a in list(c.live.values()):
            m = self.messages.get(a.key)
            if m is None:
                continue
            if a.phase == 'recorded':
                if a.lsn is not None and a.lsn > e.flushed:
                    self.complain(e, f'{why}: the record of message {a.key[1]} is not on disk')
            elif a.phase != 'entry' and a.committed is not None and m.worlds is not None and \
                    all(w.lease == a.token for w in m.worlds) and not any(o is not c and o.transaction for o in m.open):
                self.complain(e, f'{why}: message {a.key[1]} is {a.phase}, and its entry goes')
        c.live.clear()

    # ---- what the tables say ----

    def see(self, e):
        if e.name == 'row':
            self.look[e.db]['rows'].append(e)
            return
        if e.what == 'begin':
            self.look[e.db] = {'line': e.line, 'rows': []}
            return
        look = self.look.pop(e.db)
        self.looks += 1
        rows = {r.id: r for r in look['rows']}
        self.rows[e.db] = rows
        for (db, mid), m in self.messages.items():
            if db != e.db or (db, mid) in self.by_hand or m.worlds is None or m.touched > look['line'] or m.open:
                continue
            r = rows.get(mid)
            self.compared += 1
            wanted = (lambda w: gone(w)) if r is None else (lambda w: self.agrees(w, r))
            if any(map(wanted, m.worlds)):
                continue
            before = m.worlds
            if not self.explain(m, wanted, None):
                found = 'no row' if r is None else f'{r.place} {r.state}, attempts {r.attempts}, maybe {r.maybe}, token {r.token}'
                self.foreign.append(f'{self.path}:{e.line}: the tables have of message {mid} {found}: '
                                    f'the trace {describe(before)}')

    def agrees(self, w, r):
        if r.place == 'outbox':
            if w.st == 'queued':
                return r.state == 'queued' and r.attempts == w.att and r.maybe == w.maybe and r.token == w.lease
            return r.state == w.st
        if r.place == 'aside':
            return w.st == 'aside'
        if w.st == r.state:
            return True
        if waits(w):
            return r.state in END_OF_WAITING and not w.maybe or \
                r.state == 'unknown' and (w.maybe or 'doubt' in self.evidence or self.adopting)
        return r.state in LATER.get(w.st, ())


def gone(w):
    """Its row is nowhere: retention, erasure."""
    return w.st not in ('queued', 'aside')


def first(x):
    """The state that a message must be in after its first line."""
    if x.name == 'claim':
        return Row('queued', 0, x.attempt - 1, x.maybe, 0, None)
    if x.name == 'rescue':
        return Row('queued', x.token, x.attempt - 1, x.maybe, 0, None)
    return None


def unique(worlds):
    return list(dict.fromkeys(worlds))


def describe(worlds):
    if worlds is None:
        return 'not known'
    return ' or '.join(f'{w.st}{f" with lease {w.lease}" if w.lease else ""}, attempts {w.att}, maybe {w.maybe}' for w in worlds)


RULE_NAMES = {r[0]: r[1] for r in reversed(ROW)}
BASE32HEX = {c: i for i, c in enumerate('0123456789abcdefghijklmnopqrstuv')}


def check_requests(path, tokens, complain):
    """What the simulator had: token, accepted; once for each attempt."""
    seen = {}
    n = 0
    for line in open(path, encoding='utf-8'):
        tag, accepted = line.split()
        n += 1
        parts = tag.split('-')
        token = 0
        for c in parts[3]:
            token = token << 5 | BASE32HEX[c]
        a = tokens.get(token)
        if a is None and token in tokens:
            continue                # its message is by hand
        if a is None:
            complain(f'the simulator has a request of message {parts[1]}, token {token}, that is in no trace')
            continue
        if token in seen:
            complain(f'the simulator has attempt {a.number} of message {parts[1]} (token {token}) twice')
        if not a.asked:
            complain(f'the simulator has message {parts[1]} (token {token}), of which no byte went out')
        if a.outcome == 'not_sent':
            complain(f'the simulator has message {parts[1]} (token {token}), which was proved not sent')
        if int(accepted) and a.outcome in NOT_TAKEN:
            complain(f'LINE accepted message {parts[1]} (token {token}), which was {a.outcome}')
        if not int(accepted) and a.outcome == 'accepted':
            complain(f'LINE did not accept message {parts[1]} (token {token}), which was accepted')
        seen[token] = accepted
    return n


NOT_SENT = END_OF_WAITING | {'refused', 'unreachable', 'invalid'}


def check_copies(replays, complain):
    """once and truth of failover.pml, over servers of which one is a copy of another."""
    by_inode = {inode: r for r in replays for inode in r.inodes}

    def originals(r):
        found = []
        while (r := by_inode.get(r.of)) is not None and r not in found:
            found.append(r)
        return found

    families = defaultdict(list)
    for r in replays:
        families[(originals(r) or [r])[-1].path].append(r)
    for family in families.values():
        if len(family) < 2 or any({'duplicates', 'resend'} & r.evidence for r in family):
            continue
        asked = defaultdict(list)
        rescued = {}
        for r in family:
            for a in r.attempts:
                if a.asked_at is not None:
                    asked[a.key].append((r, a))
                if a.rescued:
                    rescued[a.token] = a
        for (db, mid), attempts in asked.items():
            for server, a in attempts:
                if a.outcome is None and a.token in rescued:
                    a.outcome, a.next = rescued[a.token].outcome, rescued[a.token].next
                if not a.may_have_left() or a.again():
                    continue
                for other, b in attempts:
                    if other is not server and b.asked_at > a.asked_at:
                        complain(f'{other.path}: once: message {mid} token {b.token} is sent, and attempt {a.number} '
                                 f'token {a.token} of another server may have left: {a.outcome or "no answer"}')
                for copy in family:
                    row = copy.rows.get(db, {}).get(mid)
                    if row is not None and row.place == 'history' and row.state in NOT_SENT and not row.maybe and \
                            server in originals(copy):
                        complain(f'{copy.path}: truth: the tables have message {mid} {row.state}, and attempt {a.number} '
                                 f'token {a.token} of another server may have left: {a.outcome or "no answer"}')


def main(args):
    if args[:1] == ['--events']:
        known = [(name, rule[0]) for name, rule in PLACE.items()] + list(PROCESS.items()) + \
            [rule[:2] for rule in ROW] + [('silent', rule[0]) for rule in SILENT]
        print('\n'.join(f'{name}|{action}' for name, action in sorted(set(known))))
        return 0
    requests = None
    if args[:1] == ['--requests']:
        requests, args = args[1], args[2:]
    tokens = {}
    replays = [Replay(path, tokens).run() for path in args]
    foreign = [f for r in replays for f in r.foreign]
    check_copies(replays, foreign.append)
    n = check_requests(requests, tokens, foreign.append) if requests else 0
    for line in foreign[:40]:
        print(line)
    events = sum(r.events for r in replays)
    messages = sum(len(r.seen) for r in replays)
    print(f'{messages} messages, {len(tokens)} attempts, {events} events, {n} requests at the simulator, '
          f'{sum(r.compared for r in replays)} compared with the tables in {sum(r.looks for r in replays)} looks: '
          f'{len(foreign)} foreign')
    return len(foreign) > 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
