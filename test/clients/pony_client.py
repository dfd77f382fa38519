# Pony
import os

import pony
from pony.orm import Database, Json, Optional, PrimaryKey, count, db_session, flush, rollback, select
from pony.orm.core import DatabaseError, UnexpectedError

from report import NUMBER, check, error, line, typo

line("version", "ok", pony.__version__)
db = Database()
db.bind(provider="postgres", host=os.environ["PGHOST"], port=os.environ["PGPORT"], user="app", database="postgres")


class Order(db.Entity):
    _table_ = "orders"
    id = PrimaryKey(int, size=64, auto=True)
    phone = Optional(str, nullable=True)


class Message(db.Entity):
    _table_ = ("line_notify", "messages")
    id = PrimaryKey(int, size=64, auto=True)
    # volatile: what is not read back as it was written is no change by somebody else;
    # nullable: else Pony writes '', which is read back as NULL
    phone = Optional(str, nullable=True, volatile=True)
    use_case = Optional(str, nullable=True)
    template_key = Optional(str, nullable=True)
    body = Optional(Json, nullable=True, volatile=True)
    reference = Optional(str, nullable=True)
    dedup_key = Optional(str, nullable=True)
    batch = Optional(str, nullable=True)
    priority = Optional(int, size=16, volatile=True)
    state = Optional(str, nullable=True, volatile=True)


db.generate_mapping(create_tables=False)
row = dict(phone="090-1234-5678", use_case="parcel_delivery", template_key="t")

with db_session:
    order = Order(phone="090-1234-5678")
    flush()
    message = Message(phone=order.phone, use_case="parcel_delivery", template_key="shipment_completed_ja",
                      body={"items": [{"itemKey": "number_001_ja", "content": "1234"}]},
                      reference=str(order.id), dedup_key=f"pony {order.id}")
    flush()
    check("create", message.id > 0 and message.state == "queued")
    order_id, message_id = order.id, message.id

# a duplicate is the object of the first: a session of its own
with db_session:
    again = Message(**row, dedup_key=f"pony {order_id}")
    flush()
    check("duplicate", again.id == message_id)

ids = []
for k in "aba":
    with db_session:
        m = Message(**row, dedup_key=f"pony {order_id} {k}")
        flush()
        ids.append(m.id)
check("bulk with duplicate", ids[0] == ids[2] != ids[1])

with db_session:
    message = Message.get(dedup_key=f"pony {order_id}")
    message.priority = 5
    flush()
    check("read back", (message.state, message.reference, message.phone, message.priority) == ("queued", str(order_id), None, 5))
check("introspect", True, "check_tables of generate_mapping()")

with db_session:
    for i in range(100):
        Message(phone=f"090-1234-{i:04}", use_case="parcel_delivery", template_key="t", batch="pony batch")
with db_session:
    n = count(m for m in Message if m.batch == "pony batch" and m.state == "queued")
    check("batch", n == 100, n)

with db_session:
    try:
        Message(phone=NUMBER, use_case="reservatoin", template_key="t")
        flush()
    except UnexpectedError as e:
        rollback()
        error(e)
with db_session:
    number = NUMBER     # Pony takes it from here
    try:
        db.execute("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES ($number, 'high', 'reservation', 't')")
    except DatabaseError as e:
        rollback()
        typo(str(e) + repr(e), e.original_exc.diag.message_primary, "`e.original_exc.diag.message_primary` instead of `str(e)`")

with db_session:
    Message.get_for_update(dedup_key=f"pony {order_id}").delete()
with db_session:
    check("cancel", select(m.state for m in Message if m.id == message_id).first() == "cancelled")
