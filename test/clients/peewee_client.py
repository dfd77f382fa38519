# Peewee
import peewee
from playhouse.postgres_ext import BinaryJSONField, PostgresqlExtDatabase

from report import NUMBER, check, error, line, typo, upsert

line("version", "ok", peewee.__version__)
db = PostgresqlExtDatabase("postgres", user="app", register_hstore=False)


class Order(peewee.Model):
    phone = peewee.TextField(null=True)

    class Meta:
        database, table_name = db, "orders"


class Message(peewee.Model):
    id = peewee.BigAutoField()
    phone = peewee.TextField(null=True)
    use_case = peewee.TextField(null=True)
    template_key = peewee.TextField(null=True)
    body = BinaryJSONField(null=True, index=False)
    reference = peewee.TextField(null=True)
    dedup_key = peewee.TextField(null=True)
    batch = peewee.TextField(null=True)
    priority = peewee.SmallIntegerField(null=True)
    state = peewee.TextField(null=True)

    class Meta:
        database, schema, table_name = db, "line_notify", "messages"


with db.atomic():
    order = Order.create(phone="090-1234-5678")
    message = Message.create(phone=order.phone, use_case="parcel_delivery", template_key="shipment_completed_ja",
                             body={"items": [{"itemKey": "number_001_ja", "content": "1234"}]},
                             reference=str(order.id), dedup_key=f"peewee {order.id}")
check("create", message.id > 0 and Message.get_by_id(message.id).state == "queued")

rest = {"phone": "090-1234-5678", "use_case": "parcel_delivery", "template_key": "t"}
again = Message.create(dedup_key=f"peewee {order.id}", **rest)
same, created = Message.get_or_create(dedup_key=f"peewee {order.id}", defaults=rest)
check("duplicate", again.id == message.id == same.id and not created)

rows = [dict(rest, dedup_key=f"peewee {order.id} {k}") for k in "aba"]
ids = [i for i, in Message.insert_many(rows).returning(Message.id).tuples().execute()]
check("bulk with duplicate", ids[0] == ids[2] and len(set(ids)) == 2, ids)

message = Message.get_by_id(message.id)
message.priority = 5
message.save()
message = Message.get_by_id(message.id)
check("read back", message.state == "queued" and message.reference == str(order.id) and message.phone is None and message.priority == 5)

check("introspect", {"id", "state", "phone"} <= {c.name for c in db.get_columns("messages", schema="line_notify")} and
      "messages" in [v.name for v in db.get_views(schema="line_notify")])

with db.atomic():
    Message.insert_many([dict(rest, phone=f"090-1234-{i:04}", batch="peewee batch") for i in range(100)]).execute()
check("batch", Message.select().where(Message.batch == "peewee batch", Message.state == "queued").count() == 100)

try:
    with db.atomic():
        Message.create(phone=NUMBER, use_case="reservatoin", template_key="t")
except peewee.DatabaseError as e:
    error(e)
try:
    with db.atomic():
        Message.insert(dict(rest, phone=NUMBER, priority=peewee.SQL("'high'"))).execute()
except peewee.DatabaseError as e:
    typo(str(e) + repr(e), e.__context__.diag.message_primary, "`e.__context__.diag.message_primary` instead of `str(e)`")

row = dict(rest, dedup_key=f"peewee {order.id}")
upsert("on_conflict_ignore()", lambda: Message.insert(row).on_conflict_ignore().execute() in (None, message.id))
upsert("on_conflict(conflict_target=…)",
       lambda: Message.insert(row).on_conflict(conflict_target=[Message.dedup_key], update={Message.priority: 4}).execute())
db.rollback()

message.delete_instance()
check("cancel", Message.get_by_id(message.id).state == "cancelled")
