// Kysely
const fs = require('fs');
const { Pool } = require('pg');
const { Kysely, PostgresDialect, sql } = require('kysely');
const { line, check, error, typo, upsert } = require('./report');

async function main() {
  line('version', 'ok', JSON.parse(fs.readFileSync(process.env.NODE_PATH + '/kysely/package.json')).version);
  const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ host: process.env.PGHOST, user: 'app' }) }) });

  const [order, message] = await db.transaction().execute(async (trx) => {
    const order = await trx.insertInto('orders').values({ phone: '090-1234-5678' }).returning('id').executeTakeFirstOrThrow();
    const message = await trx.insertInto('line_notify.messages').values({
      phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 'shipment_completed_ja',
      body: JSON.stringify({ items: [{ itemKey: 'number_001_ja', content: '1234' }] }),
      reference: order.id, dedup_key: `kysely ${order.id}`,
    }).returning(['id', 'state']).executeTakeFirstOrThrow();
    return [order, message];
  });
  check('create', message.state === 'queued' && message.id > 0);

  const row = (key) => ({ phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't', dedup_key: key });
  const insert = (rows) => db.insertInto('line_notify.messages').values(rows);
  const again = await insert(row(`kysely ${order.id}`)).returning('id').executeTakeFirst();
  check('duplicate', again.id === message.id);

  const many = await insert(['a', 'b', 'a'].map((k) => row(`kysely ${order.id} ${k}`))).returning('id').execute();
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id);

  const messages = () => db.selectFrom('line_notify.messages').selectAll();
  const got = await messages().where('id', '=', message.id).executeTakeFirst();
  const write = (set) => db.updateTable('line_notify.messages').set(set).where('id', '=', message.id).execute();
  await write({ ...got, priority: 5 });
  const fresh = await messages().where('id', '=', message.id).executeTakeFirst();
  check('read back', fresh.state === 'queued' && fresh.reference === order.id && fresh.phone === null && fresh.priority === 5);

  const view = (await db.introspection.getTables()).find((t) => t.name === 'messages' && t.schema === 'line_notify');
  check('introspect', view.isView && view.columns.every((c) => c.isNullable));

  await insert(Array.from({ length: 100 }, (_, i) => ({
    phone: `090-1234-${String(i).padStart(4, '0')}`, use_case: 'parcel_delivery', template_key: 't', batch: 'kysely batch' }))).execute();
  const page = await messages().where('batch', '=', 'kysely batch').where('state', '=', 'queued').orderBy('id').limit(10).offset(90).execute();
  check('batch', page.length === 10);

  try {
    await insert({ phone: '090-8765-4321', use_case: 'reservatoin', template_key: 't' }).execute();
  } catch (e) {
    error(`${e.message} ${e.hint}`, JSON.stringify(e));
  }
  await typo(() => sql`INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (${'090-8765-4321'}, 'high', 'reservation', 't')`.execute(db),
    (e) => e.message, '–');
  const key = row(`kysely ${order.id}`);
  await upsert('onConflict((c) => c.doNothing())', async () =>
    (await insert(key).onConflict((c) => c.doNothing()).returning('id').executeTakeFirst()).id === message.id);
  await upsert("onConflict((c) => c.column('dedup_key').doUpdateSet(…))", () =>
    insert(key).onConflict((c) => c.column('dedup_key').doUpdateSet({ priority: 4 })).execute());

  await db.deleteFrom('line_notify.messages').where('id', '=', message.id).execute();
  await write(fresh);     // it ended: nothing is changed, nothing is refused
  check('cancel', (await messages().where('id', '=', message.id).executeTakeFirst()).state === 'cancelled');
  await db.destroy();
}
main().catch((e) => { console.error(e); process.exit(1); });
