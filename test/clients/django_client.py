# Django, models that it does not manage
import os

import django
from django.conf import settings
from django.db import DatabaseError, connection, models, transaction

from report import NUMBER, check, error, line, typo, upsert

line("version", "ok", django.__version__)
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "app",
                           "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True)
django.setup()


class Order(models.Model):
    phone = models.TextField(null=True)

    class Meta:
        app_label, managed, db_table = "shop", False, "orders"


class Message(models.Model):
    channel = models.TextField(null=True)
    phone = models.TextField(null=True)
    use_case = models.TextField(null=True)
    template_key = models.TextField(null=True)
    body = models.JSONField(null=True)
    reference = models.TextField(null=True)
    dedup_key = models.TextField(null=True)
    batch = models.TextField(null=True)
    priority = models.SmallIntegerField(null=True)
    notification_disabled = models.BooleanField(default=False)
    state = models.TextField(null=True)

    class Meta:
        app_label, managed, db_table = "shop", False, 'line_notify"."messages'


with transaction.atomic():
    order = Order.objects.create(phone="090-1234-5678")
    message = Message.objects.create(phone=order.phone, use_case="parcel_delivery", template_key="shipment_completed_ja",
                                     body={"items": [{"itemKey": "number_001_ja", "content": "1234"}]},
                                     reference=str(order.id), dedup_key=f"django {order.id}")
message.refresh_from_db()
check("create", message.id > 0 and message.state == "queued")

with transaction.atomic():
    again = Message.objects.create(phone="090-1234-5678", use_case="parcel_delivery", template_key="t", dedup_key=f"django {order.id}")
same, made = Message.objects.get_or_create(dedup_key=f"django {order.id}", defaults=dict(phone="090-1234-5678", use_case="parcel_delivery", template_key="t"))
check("duplicate", again.id == message.id == same.id and not made)

made = Message.objects.bulk_create([
    Message(phone="090-1234-5678", use_case="parcel_delivery", template_key="t", dedup_key=f"django {order.id} {k}") for k in "aba"])
check("bulk with duplicate", made[0].id == made[2].id != made[1].id)

# save() writes every column back; what was not changed is no fault
message = Message.objects.get(id=message.id)
message.priority = 5
message.save()
again.priority = 6
again.template_key = "shipment_completed_ja"
again.reference = str(order.id)
again.save()
message.refresh_from_db()
check("read back", (message.state, message.reference, message.phone, message.priority) == ("queued", str(order.id), None, 6))

from django.core.management import call_command
import io
out = io.StringIO()
from django.db import connections
with connection.cursor() as cursor:
    cursor.execute("SET search_path = line_notify")
    call_command("inspectdb", "messages", include_views=True, stdout=out)
    cursor.execute("RESET search_path")
text = out.getvalue()
check("introspect", "class Messages" in text and "body = models.JSONField" in text and "use_case = models.TextField(blank=True, null=True" in text)

Message.objects.bulk_create([
    Message(phone=f"090-1234-{i:04}", use_case="parcel_delivery", template_key="t", batch="django batch") for i in range(100)], batch_size=50)
check("batch", Message.objects.filter(batch="django batch", state="queued").count() == 100)

try:
    with transaction.atomic():
        Message.objects.create(phone=NUMBER, use_case="reservatoin", template_key="t")
except DatabaseError as e:
    error(e)

try:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (%s, %s, 'reservation', 't')", [NUMBER, "high"])
except DatabaseError as e:
    typo(str(e) + repr(e), e.__cause__.diag.message_primary, "`e.__cause__.diag.message_primary` instead of `str(e)`")

row = dict(phone="090-1234-5678", use_case="parcel_delivery", template_key="t", dedup_key=f"django {order.id}")
upsert("bulk_create(ignore_conflicts)", lambda: Message.objects.bulk_create([Message(**row)], ignore_conflicts=True) != [])
upsert("get_or_create()", lambda: Message.objects.get_or_create(dedup_key=row["dedup_key"], defaults=row)[0].id == message.id)
upsert("update_or_create()", lambda: Message.objects.update_or_create(dedup_key=row["dedup_key"], defaults={"priority": 4})[0].id == message.id)

message.delete()
check("cancel", Message.objects.get(reference=str(order.id)).state == "cancelled")
