# SQLAlchemy, ORM and reflection
import os

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session, declarative_base

from report import NUMBER, check, error, line, migration, typo, upsert

line("version", "ok", sa.__version__)

# parameters of a failed statement are part of its message: hide them
engine = sa.create_engine("postgresql+psycopg2:///postgres?user=app", hide_parameters=True)
Base = declarative_base()


class Message(Base):
    __tablename__ = "messages"
    __table_args__ = {"schema": "line_notify"}
    id = sa.Column(sa.BigInteger, sa.FetchedValue(), primary_key=True)
    phone = sa.Column(sa.Text)
    use_case = sa.Column(sa.Text)
    template_key = sa.Column(sa.Text)
    body = sa.Column(JSONB)
    reference = sa.Column(sa.Text)
    dedup_key = sa.Column(sa.Text)
    batch = sa.Column(sa.Text)
    priority = sa.Column(sa.SmallInteger, sa.FetchedValue())
    state = sa.Column(sa.Text, sa.FetchedValue())


class Order(Base):
    __tablename__ = "orders"
    id = sa.Column(sa.BigInteger, primary_key=True)
    phone = sa.Column(sa.Text)


with Session(engine) as session, session.begin():
    order = Order(phone="090-1234-5678")
    session.add(order)
    session.flush()
    message = Message(phone=order.phone, use_case="parcel_delivery", template_key="shipment_completed_ja",
                      body={"items": [{"itemKey": "number_001_ja", "content": "1234"}]},
                      reference=str(order.id), dedup_key=f"sqlalchemy {order.id}")
    session.add(message)
    session.flush()
    check("create", message.id > 0 and message.state == "queued")
    message_id, order_id = message.id, order.id

# a duplicate is the object of the first: a session of its own, or INSERT ... RETURNING
with Session(engine) as session, session.begin():
    again = Message(phone="090-1234-5678", use_case="parcel_delivery", template_key="t", dedup_key=f"sqlalchemy {order_id}")
    session.add(again)
    session.flush()
    check("duplicate", again.id == message_id)

with engine.begin() as c:
    insert = sa.insert(Message.__table__).values([
        dict(phone="090-1234-5678", use_case="parcel_delivery", template_key="t", dedup_key=f"sqlalchemy {order_id} {k}")
        for k in "aba"]).returning(Message.id)
    ids = c.execute(insert).scalars().all()
check("bulk with duplicate", ids[0] == ids[2] and len(set(ids)) == 2, ids)

with Session(engine) as session, session.begin():
    message = session.get(Message, message_id)
    check("read back", (message.state, message.reference, message.phone) == ("queued", str(order_id), None))
    message.priority = 5
    session.flush()
    session.refresh(message)

columns = {c["name"]: c for c in sa.inspect(engine).get_columns("messages", schema="line_notify")}
check("introspect", columns["id"]["nullable"] and str(columns["use_case"]["type"]) == "TEXT"
      and not any(isinstance(c["type"], sa.types.NullType) for c in columns.values()),
      [n for n, c in columns.items() if isinstance(c["type"], sa.types.NullType)])

with engine.begin() as c:
    c.execute(sa.insert(Message.__table__), [
        dict(phone=f"090-1234-{i:04}", use_case="parcel_delivery", template_key="t", batch="sqlalchemy batch") for i in range(100)])
    n = c.execute(sa.select(sa.func.count()).select_from(Message).where(Message.batch == "sqlalchemy batch", Message.state == "queued")).scalar()
check("batch", n == 100, n)

try:
    with Session(engine) as session, session.begin():
        session.add(Message(phone=NUMBER, use_case="reservatoin", template_key="t"))
except sa.exc.DBAPIError as e:
    error(e)

texts = []
for hide in (False, True):
    try:
        with sa.create_engine("postgresql+psycopg2:///postgres?user=app", hide_parameters=hide).begin() as c:
            c.execute(sa.text("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (:phone, 'high', 'reservation', 't')"), {"phone": NUMBER})
    except sa.exc.DBAPIError as e:
        texts.append(str(e))
        words = e.orig.diag.message_primary
typo(texts[0], words, "`e.orig.diag.message_primary` instead of `str(e)`"
     + (", which shows it also with `hide_parameters=True`" if "87654321" in "".join(c for c in texts[1] if c.isdigit()) else "; or `hide_parameters=True`"))

row = dict(phone="090-1234-5678", use_case="parcel_delivery", template_key="t", dedup_key=f"sqlalchemy {order_id}")


def execute(statement):
    with engine.begin() as c:
        return c.execute(statement)


def merge():
    with Session(engine) as session, session.begin():
        session.merge(Message(id=message_id, priority=4))
    with Session(engine) as session:
        return session.get(Message, message_id).priority == 4


upsert("insert().on_conflict_do_nothing()",
       lambda: execute(pg_insert(Message.__table__).values(row).on_conflict_do_nothing().returning(Message.id)).scalar() == message_id)
upsert("insert().on_conflict_do_update()",
       lambda: execute(pg_insert(Message.__table__).values(row).on_conflict_do_update(index_elements=["dedup_key"], set_={"priority": 4})))
upsert("Session.merge()", merge)


# what a migration that is made from the models would do
def revision(**options):
    with engine.connect() as c:
        found = compare_metadata(MigrationContext.configure(c, opts=options), Order.metadata)
    return [str(x) for x in found]


def not_ours(name, type_, parents):
    return not (type_ == "schema" and name == "line_notify")


try:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
except ImportError:
    pass
else:
    models = sa.MetaData()
    Order.__table__.to_metadata(models)
    Order.metadata = models
    migration("alembic revision --autogenerate", revision())
    migration("include_schemas=True", revision(include_schemas=True))
    migration("include_schemas=True, include_name=…", revision(include_schemas=True, include_name=not_ours))

with Session(engine) as session, session.begin():
    session.delete(session.get(Message, message_id))
with Session(engine) as session:
    check("cancel", session.get(Message, message_id).state == "cancelled")
