// TypeORM
require('reflect-metadata');
const { DataSource, EntitySchema } = require('typeorm');
const { line, check, error, typo, upsert, migration } = require('./report');

const text = { type: 'text', nullable: true };
const Order = new EntitySchema({
  name: 'Order', tableName: 'orders',
  columns: { id: { type: 'bigint', primary: true, generated: true }, phone: text },
});
const Message = new EntitySchema({
  name: 'Message', tableName: 'messages', schema: 'line_notify', synchronize: false,
  columns: {
    id: { type: 'bigint', primary: true, generated: true },
    phone: text, use_case: text, template_key: text, body: { type: 'jsonb', nullable: true },
    reference: text, dedup_key: text, batch: text, priority: { type: 'smallint', nullable: true, default: 0 },
    state: { ...text, insert: false, update: false },
  },
});

async function main() {
  line('version', 'ok', JSON.parse(require('fs').readFileSync(process.env.NODE_PATH + '/typeorm/package.json')).version);
  const db = await new DataSource({ type: 'postgres', host: process.env.PGHOST, port: +process.env.PGPORT, username: 'app', database: 'postgres', entities: [Order, Message], installExtensions: false }).initialize();
  const messages = db.getRepository('Message');

  const [order, message] = await db.transaction(async (manager) => {
    const order = await manager.save('Order', { phone: '090-1234-5678' });
    const message = await manager.save('Message', {
      phone: order.phone, use_case: 'parcel_delivery', template_key: 'shipment_completed_ja',
      body: { items: [{ itemKey: 'number_001_ja', content: '1234' }] },
      reference: order.id, dedup_key: `typeorm ${order.id}`,
    });
    return [order, message];
  });
  check('create', message.id > 0 && (await messages.findOneBy({ id: message.id })).state === 'queued');

  const row = (key) => ({ phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't', dedup_key: key });
  const again = await messages.save(row(`typeorm ${order.id}`));
  check('duplicate', again.id === message.id);

  const many = await messages.save(['a', 'b', 'a'].map((k) => row(`typeorm ${order.id} ${k}`)));
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id, many.map((m) => m.id));

  const got = await messages.findOneBy({ id: message.id });
  got.priority = 5;
  await messages.save(got);
  const fresh = await messages.findOneBy({ id: message.id });
  check('read back', fresh.state === 'queued' && fresh.reference === order.id && fresh.phone === null && fresh.priority === 5);

  const runner = db.createQueryRunner();
  const columns = await runner.query("SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = 'messages'");
  check('introspect', columns.length > 20 && columns.every((c) => c.is_nullable === 'YES') && await runner.hasColumn('line_notify.messages', 'state'));
  await runner.release();

  await messages.insert(Array.from({ length: 100 }, (_, i) => ({
    phone: `090-1234-${String(i).padStart(4, '0')}`, use_case: 'parcel_delivery', template_key: 't', batch: 'typeorm batch' })));
  const n = await messages.countBy({ batch: 'typeorm batch', state: 'queued' });
  check('batch', n === 100, n);

  try {
    await messages.insert({ phone: '090-8765-4321', use_case: 'reservatoin', template_key: 't' });
  } catch (e) {
    error(`${e.message} ${e.driverError.hint}`, JSON.stringify(e));
  }
  await typo(() => db.query("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES ($1, 'high', 'reservation', 't')", ['090-8765-4321']),
    (e) => e.driverError.message, '`e.driverError.message` instead of `e`, which carries `parameters`');

  const key = row(`typeorm ${order.id}`);
  await upsert('insert().orIgnore()', () => messages.createQueryBuilder().insert().values(key).orIgnore().execute());
  await upsert("upsert(…, ['dedup_key'])", () => messages.upsert(key, ['dedup_key']));

  // what a migration that is made from the entities would do
  const wants = async (synchronize) => {
    const entity = new EntitySchema({ ...Message.options, synchronize });
    const other = await new DataSource({ ...db.options, entities: [Order, entity] }).initialize();
    const { upQueries } = await other.driver.createSchemaBuilder().log();
    await other.destroy();
    return upQueries.map(({ query }) => query).join(';\n');
  };
  migration('migration:generate', await wants(true));
  migration('synchronize: false', await wants(false));

  await messages.delete({ id: message.id });
  check('cancel', (await messages.findOneBy({ id: message.id })).state === 'cancelled');
  await db.destroy();
}
main().catch((e) => { console.error(e); process.exit(1); });
