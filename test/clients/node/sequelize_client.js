// Sequelize
const { Sequelize, DataTypes } = require('sequelize');
const { line, check, error, typo, upsert, migration } = require('./report');

async function main() {
  line('version', 'ok', require('sequelize/package.json').version);
  const sequelize = new Sequelize('postgres', 'app', '', { dialect: 'postgres', host: process.env.PGHOST, port: process.env.PGPORT, logging: false });
  const Order = sequelize.define('Order', { phone: DataTypes.TEXT }, { tableName: 'orders', timestamps: false });
  const Message = sequelize.define('Message', {
    id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
    phone: DataTypes.TEXT, use_case: DataTypes.TEXT, template_key: DataTypes.TEXT, body: DataTypes.JSONB,
    reference: DataTypes.TEXT, dedup_key: DataTypes.TEXT, batch: DataTypes.TEXT, priority: DataTypes.SMALLINT, state: DataTypes.TEXT,
  }, { schema: 'line_notify', tableName: 'messages', timestamps: false });

  const [order, message] = await sequelize.transaction(async (transaction) => {
    const order = await Order.create({ phone: '090-1234-5678' }, { transaction });
    const message = await Message.create({
      phone: order.phone, use_case: 'parcel_delivery', template_key: 'shipment_completed_ja',
      body: { items: [{ itemKey: 'number_001_ja', content: '1234' }] },
      reference: String(order.id), dedup_key: `sequelize ${order.id}`,
    }, { transaction });
    return [order, message];
  });
  check('create', message.state === 'queued' && message.id > 0);

  const row = (key) => ({ phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't', dedup_key: key });
  const again = await Message.create(row(`sequelize ${order.id}`));
  check('duplicate', again.id === message.id);

  const many = await Message.bulkCreate(['a', 'b', 'a'].map((k) => row(`sequelize ${order.id} ${k}`)));
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id, many.map((m) => m.id));

  const got = await Message.findByPk(message.id);
  got.priority = 5;
  await got.save();
  await got.reload();
  check('read back', got.state === 'queued' && got.reference === String(order.id) && got.phone === null && got.priority === 5);

  const info = await sequelize.getQueryInterface().describeTable({ tableName: 'messages', schema: 'line_notify' });
  check('introspect', info.id.allowNull && info.body.type === 'JSONB' && info.use_case.type === 'TEXT');

  await Message.bulkCreate(Array.from({ length: 100 }, (_, i) => ({
    phone: `090-1234-${String(i).padStart(4, '0')}`, use_case: 'parcel_delivery', template_key: 't', batch: 'sequelize batch' })));
  const n = await Message.count({ where: { batch: 'sequelize batch', state: 'queued' } });
  check('batch', n === 100, n);

  try {
    await Message.create({ phone: '090-8765-4321', use_case: 'reservatoin', template_key: 't' });
  } catch (e) {
    error(`${e.message} ${e.original.hint}`, JSON.stringify(e));
  }
  await typo(() => sequelize.query("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES ($1, 'high', 'reservation', 't')", { bind: ['090-8765-4321'] }),
    (e) => e.original.message, '`e.original.message` instead of `e`, which carries `parameters`');

  const key = row(`sequelize ${order.id}`);
  await upsert('findOrCreate()', async () =>
    (await Message.findOrCreate({ where: { dedup_key: key.dedup_key }, defaults: key }))[0].id === message.id);
  await upsert('bulkCreate({ ignoreDuplicates })', () => Message.bulkCreate([key], { ignoreDuplicates: true }));
  await upsert('bulkCreate({ updateOnDuplicate })', () =>
    Message.bulkCreate([key], { updateOnDuplicate: ['priority'], conflictAttributes: ['dedup_key'] }));
  await upsert('upsert()', () => Message.upsert(key, { conflictFields: ['dedup_key'] }));

  // what a migration that is made from the models would do
  const sync = [];
  await Message.sync({ logging: (text) => sync.push(text) });
  migration('sync()', sync.filter((text) => !/CREATE TABLE IF NOT EXISTS|SELECT/.test(text)).join(';'));

  await got.destroy();
  check('cancel', (await Message.findByPk(message.id)).state === 'cancelled');
  await sequelize.close();
}
main().catch((e) => { console.error(e); process.exit(1); });
