# asyncpg
import asyncio
import base64
import hashlib
import hmac
import json
import os

import asyncpg

from report import NUMBER, check, error, line, typo, upsert


async def main():
    line("version", "ok", asyncpg.__version__)
    conn = await asyncpg.connect(host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]), user="app", database="postgres")
    # objects become JSON by themselves from then on; json.dumps() beside it encodes twice
    await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")

    async with conn.transaction():
        order_id = await conn.fetchval("INSERT INTO orders (phone) VALUES ($1) RETURNING id", "090-1234-5678")
        message = await conn.fetchrow("""
            INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
            VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, state""",
            "090-1234-5678", "parcel_delivery", "shipment_completed_ja",
            {"items": [{"itemKey": "number_001_ja", "content": "1234"}]}, str(order_id), f"asyncpg {order_id}")
    check("create", message["state"] == "queued" and message["id"] > 0)

    insert = "INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES ($1, 'parcel_delivery', 't', $2) "
    check("duplicate", await conn.fetchval(insert + "RETURNING id", "090-1234-5678", f"asyncpg {order_id}") == message["id"])
    ids = await conn.fetch("""INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key)
        SELECT phone, 'parcel_delivery', 't', key FROM unnest($1::text[], $2::text[]) x(phone, key) RETURNING id""",
        ["090-1234-5678"] * 3, [f"asyncpg {order_id} {k}" for k in "aba"])
    check("bulk with duplicate", ids[0] == ids[2] != ids[1])
    row = await conn.fetchrow("SELECT * FROM line_notify.messages WHERE id = $1", message["id"])
    check("read back", (row["state"], row["reference"], row["phone"]) == ("queued", str(order_id), None))
    statement = await conn.prepare("SELECT * FROM line_notify.messages")
    check("introspect", {a.name: a.type.name for a in statement.get_attributes()}["use_case"] == "text")

    # binary COPY: every column of the view has a type that asyncpg knows
    await conn.copy_records_to_table("messages", schema_name="line_notify", columns=["phone", "use_case", "template_key", "batch"],
                                     records=[(f"090-1234-{i:04}", "parcel_delivery", "t", "asyncpg batch") for i in range(100)])
    n = await conn.fetchval("SELECT count(*) FROM line_notify.messages WHERE batch = 'asyncpg batch' AND state = 'queued'")
    check("batch", n == 100, n)

    try:
        await conn.execute("INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES ($1, 'reservatoin', 't')", NUMBER)
    except asyncpg.PostgresError as e:
        error(e)
    try:
        await conn.execute("INSERT INTO line_notify.messages (phone, use_case, template_key, body) VALUES ($1, 'reservation', 't', $2)",
                           NUMBER, json.dumps({"items": []}))
        line("job", "FAIL", "encoded twice")
    except asyncpg.PostgresError as e:
        line("job", "ok" if "encoded twice" in (e.detail or "") else "FAIL", e.detail)
    try:
        await conn.execute(f"INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES ('{NUMBER}', 'high', 'reservation', 't')")
    except asyncpg.PostgresError as e:
        typo(str(e) + repr(e), str(e), "–")

    for call, conflict in (("ON CONFLICT DO NOTHING", "ON CONFLICT DO NOTHING"),
                           ("ON CONFLICT (dedup_key) DO UPDATE", "ON CONFLICT (dedup_key) DO UPDATE SET priority = 4")):
        try:
            got = await conn.fetchval(f"{insert} {conflict} RETURNING id", "090-1234-5678", f"asyncpg {order_id}")
        except asyncpg.PostgresError as e:
            def again(e=e):
                raise e
            upsert(call, again)
        else:
            upsert(call, lambda got=got: got == message["id"])

    # a webhook with backslashes, as a string and as bytes
    for id, cast, given in (("A", "", str), ("B", "::bytea", str.encode)):
        body = ('{"events": [{"type": "message", "message": {"text": "a\\\\b"}}, {"type": "delivery", "delivery": {"data": "ln1-42-1-0000000000001"}, '
                '"webhookEventId": "01JASYNCPG000000000000000%s", "timestamp": 1750000000000}]}' % id)
        signature = base64.b64encode(hmac.new(b"webhook-secret", body.encode(), hashlib.sha256).digest()).decode()
        new = await conn.fetchval(f"SELECT line_notify.receive_webhook($1, $2{cast}, $3)", "shop", given(body), signature)
        line("job", "ok" if new == 1 else "FAIL", f"webhook{cast}")

    # a transaction that is repeated finds its message there
    async with conn.transaction(isolation="serializable"):
        check("duplicate", await conn.fetchval(insert + "RETURNING id", "090-1234-5678", f"asyncpg {order_id}") == message["id"])
    await conn.execute("DELETE FROM line_notify.messages WHERE id = $1", message["id"])
    check("cancel", await conn.fetchval("SELECT state FROM line_notify.messages WHERE id = $1", message["id"]) == "cancelled")
    await conn.close()

asyncio.run(main())
