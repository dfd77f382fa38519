// MikroORM
const fs = require('fs');
const { MikroORM, EntitySchema } = require('@mikro-orm/postgresql');
const { line, check, error, typo, upsert, migration } = require('./report');

const text = { type: 'text', nullable: true };
const Order = new EntitySchema({ name: 'Order', tableName: 'orders', properties: { id: { type: 'bigint', primary: true, autoincrement: true }, phone: text } });
const Message = new EntitySchema({
  name: 'Message', tableName: 'messages', schema: 'line_notify',
  properties: {
    id: { type: 'bigint', primary: true, autoincrement: true },
    phone: text, useCase: { ...text, fieldName: 'use_case' }, templateKey: { ...text, fieldName: 'template_key' },
    body: { type: 'json', nullable: true }, messages: { type: 'json', nullable: true },
    reference: text, dedupKey: { ...text, fieldName: 'dedup_key' }, batch: text,
    priority: { type: 'smallint', nullable: true }, state: { ...text, persist: false },
  },
});

async function main() {
  line('version', 'ok', JSON.parse(fs.readFileSync(process.env.NODE_PATH + '/@mikro-orm/core/package.json')).version);
  const connect = (options) => MikroORM.init({ dbName: 'postgres', host: process.env.PGHOST, port: +process.env.PGPORT, user: 'app', ...options });
  const orm = await connect({ entities: [Order, Message] });
  const row = (key) => ({ phone: '090-1234-5678', useCase: 'parcel_delivery', templateKey: 't', dedupKey: key });
  const create = async (data) => {
    const em = orm.em.fork();
    const message = em.create('Message', data);
    await em.persistAndFlush(message);
    return message;
  };

  const [order, message] = await orm.em.fork().transactional(async (em) => {
    const order = em.create('Order', { phone: '090-1234-5678' });
    await em.flush();
    const message = em.create('Message', {
      phone: order.phone, useCase: 'parcel_delivery', templateKey: 'shipment_completed_ja',
      body: { items: [{ itemKey: 'number_001_ja', content: '1234' }] },
      reference: String(order.id), dedupKey: `mikro ${order.id}`,
    });
    await em.flush();
    await em.refresh(message);
    return [order, message];
  });
  check('create', message.id > 0 && message.state === 'queued');
  check('duplicate', String((await create(row(`mikro ${order.id}`))).id) === String(message.id));

  const em = orm.em.fork();
  const many = ['a', 'b', 'a'].map((k) => em.create('Message', row(`mikro ${order.id} ${k}`)));
  await em.flush();
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id);

  const got = await em.findOne('Message', { id: message.id });
  got.priority = 5;
  await em.flush();
  const read = () => orm.em.fork().findOne('Message', { id: message.id });
  const fresh = await read();
  check('read back', fresh.state === 'queued' && fresh.reference === String(order.id) && fresh.phone === null && fresh.priority === 5);
  const [, total] = await orm.em.fork().findAndCount('Message', {}, { limit: 1, orderBy: { id: 'desc' } });
  check('introspect', total > 0);

  const batch = orm.em.fork();
  for (let i = 0; i < 100; i++)
    batch.create('Message', { phone: `090-1234-${String(i).padStart(4, '0')}`, useCase: 'parcel_delivery', templateKey: 't', batch: 'mikro batch' });
  await batch.flush();
  const n = await orm.em.fork().count('Message', { batch: 'mikro batch', state: 'queued' });
  check('batch', n === 100, n);

  try {
    await create({ phone: '090-8765-4321', useCase: 'reservatoin', templateKey: 't' });
  } catch (e) {
    error(`${e.message} ${e.hint}`, JSON.stringify(e));
  }
  await typo(() => create({ phone: '090-8765-4321', useCase: 'reservation', templateKey: 't', priority: 'high' }),
    (e) => e.message.split(' - ').pop(), 'what stands behind the last ` - ` of `e.message`');

  await upsert('upsert()', () => orm.em.fork().upsert('Message', row(`mikro ${order.id}`)));
  await upsert('findOne(), create()', async () =>
    String((await orm.em.fork().findOne('Message', { dedupKey: `mikro ${order.id}` })).id) === String(message.id));

  // what a migration that is made from the entities would do
  const wants = async (options) => {
    const other = await connect({ entities: [Order], ...options });
    const update = await other.schema.getUpdateSchemaSQL({ wrap: false });
    await other.close();
    return update;
  };
  migration('migration:create', await wants({}));
  migration("schemaGenerator: { ignoreSchema: ['line_notify'] }", await wants({ schemaGenerator: { ignoreSchema: ['line_notify'] } }));

  const last = orm.em.fork();
  await last.removeAndFlush(await last.findOne('Message', { id: message.id }));
  check('cancel', (await read()).state === 'cancelled');
  await orm.close();
}
main().catch((e) => { console.error(e); process.exit(1); });
