# psycopg2
import io

import psycopg2
from psycopg2.extras import Json, execute_values

from report import NUMBER, check, error, line, typo, upsert

line("version", "ok", psycopg2.__version__.split()[0])
conn = psycopg2.connect("")
cur = conn.cursor()

with conn:      # commits, or rolls back
    cur.execute("INSERT INTO orders (phone) VALUES (%s) RETURNING id", ["090-1234-5678"])
    order_id, = cur.fetchone()
    cur.execute("""
        INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
        VALUES (%s, %s, %s, %s, %s, %s) RETURNING id, state""",
        ["090-1234-5678", "parcel_delivery", "shipment_completed_ja",
         Json({"items": [{"itemKey": "number_001_ja", "content": "1234"}]}),
         str(order_id), f"psycopg2 {order_id}"])
    message_id, state = cur.fetchone()
check("create", state == "queued" and message_id > 0)

with conn:
    cur.execute("INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES (%s, %s, %s, %s) RETURNING id",
                ["090-1234-5678", "parcel_delivery", "t", f"psycopg2 {order_id}"])
    check("duplicate", cur.fetchone() == (message_id,))

rows = [("090-1234-5678", "parcel_delivery", "t", f"psycopg2 {order_id} {k}") for k in "aba"]
with conn:
    ids = execute_values(cur, "INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES %s RETURNING id",
                         rows, fetch=True)
check("bulk with duplicate", ids[0] == ids[2] and len(set(ids)) == 2)

cur.execute("SELECT state, reference, phone FROM line_notify.messages WHERE id = %s", [message_id])
check("read back", cur.fetchone() == ("queued", str(order_id), None))

cur.execute("SELECT * FROM line_notify.messages LIMIT 0")
check("introspect", {"id", "state", "phone"} <= {c.name for c in cur.description})
conn.commit()

with conn:
    cur.copy_expert("COPY line_notify.messages (phone, use_case, template_key, batch) FROM STDIN",
                    io.StringIO("".join(f"090-1234-{i:04}\tparcel_delivery\tt\tpsycopg2 {order_id}\n" for i in range(100))))
    cur.execute("SELECT count(*) FROM line_notify.messages WHERE batch = %s AND state = 'queued'", [f"psycopg2 {order_id}"])
    check("batch", cur.fetchone() == (100,))

try:
    with conn:
        cur.execute("INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES (%s, %s, 't')", [NUMBER, "reservatoin"])
except psycopg2.Error as e:
    error(e)

try:
    with conn:
        cur.execute("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (%s, %s, 'reservation', 't')", [NUMBER, "high"])
except psycopg2.Error as e:
    typo(str(e) + repr(e), e.diag.message_primary, "`e.diag.message_primary` instead of `str(e)`")

def execute(sql):
    with conn:
        cur.execute(sql, [f"psycopg2 {order_id}"])
        return cur.fetchone()


insert = "INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES ('090-1234-5678', 'parcel_delivery', 't', %s) "
upsert("ON CONFLICT DO NOTHING", lambda: execute(insert + "ON CONFLICT DO NOTHING RETURNING id") == (message_id,))
upsert("ON CONFLICT (dedup_key) DO UPDATE", lambda: execute(insert + "ON CONFLICT (dedup_key) DO UPDATE SET priority = 4"))


def merge():
    try:
        with conn:
            cur.execute("""MERGE INTO line_notify.messages m USING (SELECT %s::text AS key) x ON m.dedup_key = x.key
                WHEN MATCHED THEN UPDATE SET priority = 4
                WHEN NOT MATCHED THEN INSERT (phone, use_case, template_key, dedup_key) VALUES ('090-1234-5678', 'parcel_delivery', 't', x.key)""",
                        [f"psycopg2 {order_id}"])
        return True
    except psycopg2.Error:
        return False


line("upsert", "refused before PostgreSQL 17" if merge() == (conn.server_version >= 170000) else "FAIL", "MERGE")

# FOR UPDATE locks nothing: another session changes the message
with conn, psycopg2.connect("") as other:
    cur.execute("SELECT id FROM line_notify.messages WHERE id = %s FOR UPDATE", [message_id])
    with other.cursor() as c:
        c.execute("SET lock_timeout = '10s'")
        c.execute("UPDATE line_notify.messages SET priority = 3 WHERE id = %s", [message_id])
        line("job", "ok" if c.rowcount == 1 else "FAIL", "FOR UPDATE")
# and a change wants READ COMMITTED
codes = []
for sql in ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; UPDATE line_notify.messages SET priority = 4 WHERE id = %s",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; DELETE FROM line_notify.messages WHERE id = %s",
            "DELETE FROM elsewhere.messages WHERE id = %s"):      # postgres_fdw: always REPEATABLE READ
    try:
        with conn:
            cur.execute(sql, [message_id])
    except psycopg2.Error as e:
        codes.append(e.pgcode)
line("job", "ok" if codes == ["25001"] * 3 else "FAIL", codes)
# from another database: all columns come, NULL where there is no value
with conn:
    cur.execute("""INSERT INTO elsewhere.messages (phone, use_case, template_key, dedup_key)
        VALUES ('090-1234-5678', 'parcel_delivery', 't', %s) RETURNING id, state""", [f"psycopg2 {order_id}"])
    line("job", "ok" if cur.fetchone() == (message_id, "queued") else "FAIL", "postgres_fdw")

with conn:
    cur.execute("UPDATE line_notify.messages SET priority = 5 WHERE id = %s", [message_id])
    cur.execute("DELETE FROM line_notify.messages WHERE id = %s", [message_id])
    cur.execute("SELECT state FROM line_notify.messages WHERE id = %s", [message_id])
    check("cancel", cur.fetchone() == ("cancelled",))
