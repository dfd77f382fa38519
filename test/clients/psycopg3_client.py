# psycopg 3
import psycopg
from psycopg.types.json import Jsonb

from report import NUMBER, check, error, line, typo

line("version", "ok", psycopg.__version__)
conn = psycopg.connect("")

with conn.transaction():
    order_id, = conn.execute("INSERT INTO orders (phone) VALUES (%s) RETURNING id", ["090-1234-5678"]).fetchone()
    message_id, state = conn.execute("""
        INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
        VALUES (%s, %s, %s, %s, %s, %s) RETURNING id, state""",
        ["090-1234-5678", "parcel_delivery", "shipment_completed_ja",
         Jsonb({"items": [{"itemKey": "number_001_ja", "content": "1234"}]}),
         str(order_id), f"psycopg {order_id}"]).fetchone()
check("create", state == "queued" and message_id > 0)

with conn.transaction():
    conn.execute("INSERT INTO orders (phone) VALUES (NULL)")
    again, = conn.execute("INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES (%s, %s, %s, %s) RETURNING id",
                          ["090-1234-5678", "parcel_delivery", "t", f"psycopg {order_id}"]).fetchone()
check("duplicate", again == message_id)

rows = [("090-1234-5678", "parcel_delivery", "t", f"psycopg {order_id} {k}") for k in "aba"]
with conn.transaction(), conn.cursor() as cur:
    cur.executemany("INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES (%s, %s, %s, %s) RETURNING id",
                    rows, returning=True)
    ids = [cur.fetchone()[0]]
    while cur.nextset():
        ids.append(cur.fetchone()[0])
check("bulk with duplicate", ids[0] == ids[2] and len(set(ids)) == 2 and message_id not in ids)

got = conn.execute("SELECT state, reference, phone FROM line_notify.messages WHERE id = %s", [message_id]).fetchone()
check("read back", got == ("queued", str(order_id), None), got)

cur = conn.execute("SELECT * FROM line_notify.messages LIMIT 0")
check("introspect", {"id", "state", "phone"} <= {c.name for c in cur.description})

# text format: the binary one of COPY wants the OID of each type
with conn.transaction(), conn.cursor() as cur:
    with cur.copy("COPY line_notify.messages (phone, use_case, template_key, batch) FROM STDIN") as copy:
        for i in range(100):
            copy.write_row([f"090-1234-{i:04}", "parcel_delivery", "t", "psycopg copy"])
n, = conn.execute("SELECT count(*) FROM line_notify.messages WHERE batch = 'psycopg copy' AND state = 'queued'").fetchone()
check("batch", n == 100, n)

try:
    with conn.transaction():
        conn.execute("INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES (%s, %s, 't')", [NUMBER, "reservatoin"])
except psycopg.Error as e:
    error(e)

try:
    with conn.transaction():
        conn.execute("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (%s, %s, 'reservation', 't')", [NUMBER, "high"])
except psycopg.Error as e:
    typo(str(e) + repr(e), str(e), "–")

with conn.transaction():
    conn.execute("UPDATE line_notify.messages SET priority = 5 WHERE id = %s", [message_id])
    conn.execute("DELETE FROM line_notify.messages WHERE id = %s", [message_id])
state, = conn.execute("SELECT state FROM line_notify.messages WHERE id = %s", [message_id]).fetchone()
check("cancel", state == "cancelled", state)

fallback = []
with conn.transaction():
    conn.execute("SELECT expire(%s)", [ids[0]])

# outcomes wait: line_notify.notify_outcomes = 'outcomes' in the server
conn.execute("LISTEN outcomes")
conn.commit()       # it listens from then on
# a job: outcomes are gone when this commits, so act inside of the transaction
with conn.transaction():
    for message, state, reference in conn.execute("SELECT id, state, reference FROM line_notify.take_outcomes(100)"):
        fallback.append((message, state))

# notifies() would not show what comes with the answer to a statement
told = []
conn.add_notify_handler(told.append)
conn.execute("NOTIFY outcomes")
conn.commit()
check("job", (ids[0], "expired") in fallback and [n.channel for n in told] == ["outcomes"], fallback)
