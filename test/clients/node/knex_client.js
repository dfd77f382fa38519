// knex
const { line, check, error, typo, upsert } = require('./report');

async function main() {
  line('version', 'ok', require('knex/package.json').version);
  const knex = require('knex')({ client: 'pg', connection: { host: process.env.PGHOST, port: process.env.PGPORT, user: 'app', database: 'postgres' } });
  const messages = (db) => db.withSchema('line_notify').table('messages');

  const [order, message] = await knex.transaction(async (trx) => {
    const [order] = await trx('orders').insert({ phone: '090-1234-5678' }).returning('id');
    const [message] = await messages(trx).insert({
      phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 'shipment_completed_ja',
      body: { items: [{ itemKey: 'number_001_ja', content: '1234' }] },
      reference: order.id, dedup_key: `knex ${order.id}`,
    }).returning(['id', 'state']);
    return [order, message];
  });
  check('create', message.state === 'queued' && message.id > 0);

  const row = (key) => ({ phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't', dedup_key: key });
  const [again] = await messages(knex).insert(row(`knex ${order.id}`)).returning('id');
  check('duplicate', again.id === message.id);

  const many = await messages(knex).insert(['a', 'b', 'a'].map((k) => row(`knex ${order.id} ${k}`))).returning('id');
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id);

  const got = await messages(knex).where({ id: message.id }).first('state', 'reference', 'phone');
  check('read back', got.state === 'queued' && got.reference === order.id && got.phone === null);

  const info = await messages(knex).columnInfo();
  check('introspect', info.id.nullable && info.body.type === 'jsonb' && info.use_case.type === 'text');

  await knex.batchInsert('line_notify.messages', Array.from({ length: 100 }, (_, i) => ({
    phone: `090-1234-${String(i).padStart(4, '0')}`, use_case: 'parcel_delivery', template_key: 't', batch: 'knex batch' })), 50);
  const [{ count }] = await messages(knex).where({ batch: 'knex batch', state: 'queued' }).count();
  check('batch', count === '100', count);

  try {
    await messages(knex).insert({ phone: '090-8765-4321', use_case: 'reservatoin', template_key: 't' });
  } catch (e) {
    error(`${e.message} ${e.hint}`, JSON.stringify(e));
  }
  await typo(() => messages(knex).insert({ phone: '090-8765-4321', priority: 'high', use_case: 'reservation', template_key: 't' }), (e) => e.message, '–');

  await upsert('onConflict().ignore()', async () =>
    (await messages(knex).insert(row(`knex ${order.id}`)).onConflict().ignore().returning('id'))[0].id === message.id);
  await upsert("onConflict('dedup_key').merge()", () => messages(knex).insert(row(`knex ${order.id}`)).onConflict('dedup_key').merge());

  await messages(knex).where({ id: message.id }).update({ priority: 5 });
  await messages(knex).where({ id: message.id }).delete();
  check('cancel', (await messages(knex).where({ id: message.id }).first()).state === 'cancelled');
  await knex.destroy();
}
main().catch((e) => { console.error(e); process.exit(1); });
