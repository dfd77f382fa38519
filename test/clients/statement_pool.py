# psycopg2 where each statement is a transaction: pgbouncer's statement mode
import io

import psycopg2

from report import NUMBER, check, error, line

line("version", "ok", psycopg2.__version__.split()[0])
conn = psycopg2.connect("")
conn.autocommit = True
cur = conn.cursor()


def one(sql, *args):
    cur.execute(sql, args)
    return cur.fetchone()


# the message is bound to its order by being in its statement
order_id, message_id, state = one("""
    WITH o AS (INSERT INTO orders (phone) VALUES (%s) RETURNING id, phone),
         m AS (INSERT INTO line_notify.messages (phone, use_case, template_key, reference, dedup_key)
               SELECT phone, 'parcel_delivery', 't', id::text, 'statement ' || id FROM o RETURNING id, state)
    SELECT o.id, m.id, m.state FROM o, m""", "090-1234-5678")
check("create", state == "queued" and message_id > 0)

insert = "INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES ('090-1234-5678', 'parcel_delivery', 't', %s) RETURNING id"
check("duplicate", one(insert, f"statement {order_id}") == (message_id,))
cur.execute("""INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key)
    SELECT '090-1234-5678', 'parcel_delivery', 't', %s || k FROM unnest('{a,b,a}'::text[]) k RETURNING id""", [f"statement {order_id} "])
ids = [i for i, in cur.fetchall()]
check("bulk with duplicate", ids[0] == ids[2] and len(set(ids)) == 2)
check("read back", one("SELECT state, reference, phone FROM line_notify.messages WHERE id = %s", message_id) == ("queued", str(order_id), None))
cur.execute("SELECT * FROM line_notify.messages LIMIT 0")
check("introspect", {"id", "state", "phone"} <= {c.name for c in cur.description})
cur.copy_expert("COPY line_notify.messages (phone, use_case, template_key, batch) FROM STDIN",
                io.StringIO("".join(f"090-1234-{i:04}\tparcel_delivery\tt\tstatement {order_id}\n" for i in range(100))))
check("batch", one("SELECT count(*) FROM line_notify.messages WHERE batch = %s AND state = 'queued'", f"statement {order_id}") == (100,))
try:
    one("INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES (%s, %s, 't') RETURNING id", NUMBER, "reservatoin")
except psycopg2.Error as e:
    error(e)

# SET LOCAL ends with its own statement, so this is queued all the same
cur.execute("SET LOCAL line_notify.enqueue = off")
queued = one(insert, f"statement {order_id} local")[0] is not None
cur.execute("UPDATE line_notify.messages SET priority = 5 WHERE id = %s", [message_id])
cur.execute("DELETE FROM line_notify.messages WHERE id = %s", [message_id])
# and a transaction there is none
other = psycopg2.connect("")
try:
    other.cursor().execute(insert, [f"statement {order_id} rolled back"])
    refused = False
except psycopg2.Error:
    refused = True
check("cancel", queued and refused and one("SELECT state FROM line_notify.messages WHERE id = %s", message_id) == ("cancelled",))
