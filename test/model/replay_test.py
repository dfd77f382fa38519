#!/usr/bin/env python3
"""Does replay.py see what it is for?  The trace of one message (or two: of a server
and its copy) is changed in one place each time; prints TAP without numbers, for
run.sh."""
import os
import subprocess
import sys
import tempfile

# who, event and what belongs to it; times and database are filled in
SENT = '''
A start 1 99
A entry 7 70
A claim 7 70 1 0 5
A commit 100 100 none
A asked 7 70 1 0 0 99
A sent 7 70
'''
RECORDED = SENT + '''\
A answered 7 70 accepted 202 accepted 1 1 1
A record 7 70 accepted accepted 1 1
A commit 200 150 none
'''
GOOD = RECORDED + '''\
A freed 7 70 200 200
A left 200
'''
KILLED = SENT + '''\
B start 1 99
B rescue 7 70 A asked 0 ambiguous unknown 1 0
B record 7 70 ambiguous unknown 1 1
B commit 300 300 none
B swept A 300
B left 300
'''
LOST = RECORDED + '''\
B start 1 99
B rescue 7 70 A complete 202 accepted accepted 1 0
B record 7 70 accepted accepted 1 1
B commit 220 220 none
B swept A 220
'''
AGAIN = SENT.replace('1 0 0 99', '1 1 0 99') + '''\
A answered 7 70 ambiguous 0 retry 1 1 0
A record 7 70 ambiguous retry 1 1
A commit 200 200 none
A freed 7 70 200 200
A entry 7 71
A claim 7 71 2 1 5
A commit 300 300 none
A asked 7 71 1 1 0 99
A sent 7 71
A fold 7 71
A commit 310 310 none
A answered 7 71 refused 400 unknown 1 1 1
A record 7 71 refused unknown 1 1
A commit 320 320 none
A freed 7 71 320 320
A left 320
'''
# the primary is killed, and its standby lacks the last claim
PROMOTED = SENT + '''\
---
T copy 99 98
B start 2 98
T look begin
T row 7 history unknown 0 1 0
T look end
'''
SENT_AGAIN = PROMOTED.replace('B start 2 98\n', '''\
B start 2 98
B entry 7 71
B claim 7 71 1 0 5
B commit 300 300 none
B asked 7 71 1 0 0 99
B sent 7 71
B answered 7 71 accepted 202 accepted 1 1 1
B record 7 71 accepted accepted 1 1
B commit 310 310 none
''').replace('unknown 0 1 0', 'accepted 1 0 71')
TABLE = '''
T look begin
T row 7 history STATE 1 0 70
T look end
'''

CASES = [
    # name, trace, (old, new) ..., what must be said of it (None: nothing)
    ('a message', GOOD, None),
    ('a message, and what the tables say', GOOD + TABLE.replace('STATE', 'accepted'), None),
    ('a process is killed', KILLED, None),
    ('... before it could say that it has committed', KILLED, ('A commit 100 100 none\nA asked 7 70 1 0 0 99\nA sent 7 70\n', ''),
     ('asked 0 ambiguous unknown', 'unasked 0 not_sent return'), ('ambiguous unknown 1 1', 'not_sent return 1 1'), None),
    ('... between journal and trace', KILLED, ('A asked 7 70 1 0 0 99\nA sent 7 70\n', ''), None),
    ('a crash takes a record', LOST, None),
    ('policy retry, and an event on the wire', AGAIN, None),
    ('the extension goes before an entry', GOOD, ('A freed', 'A dropped -\nA commit 200 200 none\nA freed'), None),
    ('a line that was cut short', GOOD, ('asked 7 70 1 0 0 99', 'asked 7 70 1 0 0 99\nA sent 7 CUT'), None),
    ('a line of another kind', GOOD, ('sent 7 70', 'sent 7 70 1'), 'not understood'),
    ('the journal comes after the byte', GOOD, ('asked 7 70 1', 'asked 7 70 0'), 'the journal does not say so'),
    ('the claim is not on disk', GOOD, ('commit 100 100 none', 'commit 100 90 none'), 'not on disk'),
    ('the claim is not committed', GOOD, ('A commit 100 100 none\n', ''), 'not committed'),
    ('the claim was rolled back', GOOD, ('commit 100 100 none', 'abort -'), 'never claimed'),
    ('the journal entry comes late', GOOD, ('A entry 7 70\n', ''), 'never claimed'),
    ('the body is given twice', GOOD, ('A sent 7 70\n', 'A sent 7 70\nA asked 7 70 1 0 0 99\n'), 'is sent, not'),
    ('taken whole, and proved not sent', GOOD, ('accepted 202 accepted 1 1 1', 'not_sent 0 retry 1 1 0'), 'taken whole'),
    ('half a request is accepted', GOOD, ('A sent 7 70\n', ''), 'not taken whole'),
    ('an answer that the journal does not have', GOOD, ('accepted 202 accepted 1 1 1', 'accepted 202 accepted 1 1 0'), 'the journal does not have'),
    ('recorded as something else', GOOD, ('record 7 70 accepted accepted', 'record 7 70 refused refused'), 'is recorded'),
    ('recorded under another lease', GOOD, ('A answered', 'T stolen 7\nA answered'), 'under 0 leases'),
    ('an entry is free before its record is on disk', GOOD, ('freed 7 70 200 200', 'freed 7 70 200 150'), 'not on disk'),
    ('a claimer leaves before', GOOD, ('A freed 7 70 200 200\nA left 200', 'A left 150'), 'is not on disk'),
    ('the file of a dead one goes before', GOOD, ('A freed 7 70 200 200\nA left 200', 'B start 1 99\nB swept A 150'), 'is not on disk'),
    ('... before its record has committed', LOST, ('B commit 220 220 none\nB swept A 220', 'B swept A 220\nB commit 220 220 none'), 'has not committed'),
    ('a return to the queue may be lost', GOOD, ('accepted 202 accepted 1 1 1', 'throttled 429 return 1 1 1'),
     ('record 7 70 accepted accepted', 'record 7 70 throttled return'), 'may not be lost'),
    ('the wait for a standby is cut short', GOOD, ('commit 100 100 none', 'commit 100 100 cut'), 'cut short'),
    ('a record may be lost, and there are standbys', GOOD, ('commit 200 150 none', 'commit 200 150 set'), 'may not be lost'),
    ('a standby is promoted', PROMOTED, None),
    ('... and sends what may have left', SENT_AGAIN, 'of another server may have left'),
    ('... as its operator wants', SENT_AGAIN, ('T look begin', 'T look begin\nT resend -'), None),
    ('... what LINE refused for now', SENT_AGAIN, ('---', 'A answered 7 70 throttled 429 return 1 1 1\n---'), None),
    ('... and knows better than it can', PROMOTED, ('unknown 0 1 0', 'cancelled 0 0 0'), 'truth'),
    ('... which the primary knew', PROMOTED, ('unknown 0 1 0', 'cancelled 0 0 0'), ('---', 'A answered 7 70 refused 400 refused 1 1 1\n---'), None),
    ('the tables have something else', GOOD + TABLE.replace('STATE', 'unknown'), 'the tables have'),
    ('a message is gone', GOOD[:GOOD.index('A asked')] + 'T look begin\nT look end\n', 'no row'),
    ('what is unknown is sent again', AGAIN, ('1 1 0 99', '1 0 0 99'), 'decide'),
    ('... and was decided so', AGAIN, ('1 1 0 99', '1 0 0 99'), 'once'),
    ('maybe_sent is forgotten', AGAIN, ('claim 7 71 2 1', 'claim 7 71 2 0'), 'claim: lease'),
    ('an attempt is counted twice', AGAIN, ('claim 7 71 2 1', 'claim 7 71 3 1'), 'claim: lease'),
    ('refused after it perhaps went', AGAIN, ('refused 400 unknown', 'refused 400 refused'), 'decide'),
    ('the journal is not asked', KILLED, ('asked 0 ambiguous unknown', 'unasked 0 not_sent return'), 'bytes went out'),
    ('what the journal saw is not believed', LOST, ('complete 202 accepted accepted', 'complete 202 ambiguous unknown'), 'not believed'),
    ('a lost record is not made again', LOST, ('complete 202 accepted accepted', 'asked 0 ambiguous unknown'), 'the journal does not have it'),
    ('a record that is on disk is made again', LOST, ('commit 200 150 none', 'commit 200 200 none'), 'rescue: list of leases'),
    ('who was found dead goes on', KILLED, ('B record', 'A sent 7 70\nB record'), 'session lock was found free'),
    ('a living one is rescued', KILLED, ('A sent 7 70\nB start', 'B start'), ('B left 300', 'B left 300\nA answered 7 70 accepted 202 accepted 1 1 1'), 'session lock'),
    ('the journal is gone', KILLED, ('A asked 0', 'A none 0'), 'its journal entry is gone'),
    ('two claim at a time', GOOD.replace('A commit 100 100 none', 'B start 1 99\nB entry 8 80\nB claim 8 80 1 0 5\nA commit 100 100 none\nB commit 110 110 none'), 'two claim'),
    ('claimed although it ended', GOOD, ('A left', 'A entry 7 71\nA claim 7 71 1 0 5\nA commit 300 300 none\nA left'), 'claim: lease'),
    ('a message that arrived goes back', AGAIN, ('A answered 7 70', 'A fold 7 70\nA commit 105 105 none\nA answered 7 70'), 'claim: lease'),
]
NAMES = {'A': '1001', 'B': '1002', 'T': '0'}


def written(text):
    out = []
    for n, line in enumerate(filter(None, text.split('\n'))):
        if line == '---':
            out.append('\n---\n')
            continue
        who, event, *words = line.split()
        words = [NAMES.get(w, w) for w in words]
        out.append(f'\n{event} {n} {NAMES[who]} 5 {" ".join(words)} .\n'.replace(' CUT .', ''))
    return ''.join(out)


def main():
    replay = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'replay.py')
    bad = 0
    with tempfile.TemporaryDirectory() as d:
        for name, text, *changes, wanted in CASES:
            for old, new in changes:
                assert old in text, (name, old)
                text = text.replace(old, new)
            paths = []
            for n, lines in enumerate(written(text).split('\n---\n')):
                paths.append(os.path.join(d, f'trace{n}'))
                with open(paths[-1], 'w', encoding='utf-8') as f:
                    f.write(lines)
            r = subprocess.run([sys.executable, replay, *paths], capture_output=True, text=True)
            good = r.returncode == 0 and ': 0 foreign' in r.stdout if wanted is None else r.returncode == 1 and wanted in r.stdout
            good = good and not r.stderr
            bad += not good
            print(f'{"ok" if good else "not ok"} - a trace: {name} -> {wanted or "nothing foreign"}')
            if not good:
                print(''.join(f'#   {line}\n' for line in (r.stdout + r.stderr).splitlines()), end='')
    return bad > 0


if __name__ == '__main__':
    sys.exit(main())
