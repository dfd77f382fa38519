# Is every example of doc/clients.md a part of a program that was run, and does
# it show the table that came out (apart from versions, and clients left out)?
import os
import re
import sys

doc = open(sys.argv[1], encoding="utf-8").read()
table = open(sys.argv[2], encoding="utf-8").read()
here = os.path.dirname(os.path.abspath(__file__))
faults = []


def lines(text):
    return [" ".join(x.split()) for x in text.splitlines() if x.strip()]


n = 0
for language, name, text in re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", doc, re.M | re.S):
    n += 1
    program = lines(open(os.path.join(here, name), encoding="utf-8").read())
    want = lines(text)
    if not any(program[i:i + len(want)] == want for i in range(len(program))):
        faults.append(f"the example of {name} is no part of it: {want[0]}")
if n == 0:
    faults.append("no examples found")


def rows(text):
    """client without version -> cells"""
    found = {}
    for x in text.splitlines():
        cells = [c.strip() for c in x.split("|")[1:-1]]
        if len(cells) in (10, 6) and cells[0] not in ("", "---"):
            found[re.sub(r" [v\d.]+\S*$", "", cells[0]), len(cells)] = cells[1:]
        elif len(cells) == 3 and cells[1].startswith("`"):
            found[cells[0], cells[1]] = cells[2:]
    return found


have = rows(doc)
for client, cells in rows(table).items():
    if have.get(client) != cells:
        faults.append(f"the row of {client} is {have.get(client)}, and should be {cells}")
print("\n".join(faults))
sys.exit(bool(faults))
