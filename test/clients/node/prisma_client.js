// Prisma, with its adapter for node-postgres
const { PrismaPg } = require('@prisma/adapter-pg');
const { PrismaClient } = require('./generated');
const { line, check, error, typo, upsert } = require('./report');

async function main() {
  line('version', 'ok', require('@prisma/client/package.json').version);
  const prisma = new PrismaClient({ adapter: new PrismaPg({ host: process.env.PGHOST, port: +process.env.PGPORT, user: 'app', database: 'postgres' }) });

  const [order, message] = await prisma.$transaction(async (tx) => {
    const order = await tx.order.create({ data: { phone: '090-1234-5678' } });
    const message = await tx.message.create({ data: {
      phone: order.phone, useCase: 'parcel_delivery', templateKey: 'shipment_completed_ja',
      body: { items: [{ itemKey: 'number_001_ja', content: '1234' }] },
      reference: String(order.id), dedupKey: `prisma ${order.id}`,
    } });
    return [order, message];
  });
  check('create', message.state === 'queued' && message.id > 0 && message.phone === null);

  const row = (key) => ({ phone: '090-1234-5678', useCase: 'parcel_delivery', templateKey: 't', dedupKey: key });
  const again = await prisma.message.create({ data: row(`prisma ${order.id}`) });
  check('duplicate', again.id === message.id);

  const many = await prisma.message.createManyAndReturn({ data: ['a', 'b', 'a'].map((k) => row(`prisma ${order.id} ${k}`)) });
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id, many.map((m) => m.id));

  const got = await prisma.message.update({ where: { id: message.id }, data: { priority: 5 } });
  check('read back', got.state === 'queued' && got.reference === String(order.id) && got.phone === null && got.priority === 5);

  const columns = await prisma.$queryRaw`SELECT column_name::text FROM information_schema.columns WHERE table_name = 'messages'`;
  check('introspect', columns.some((c) => c.column_name === 'state'));

  await prisma.message.createMany({ data: Array.from({ length: 100 }, (_, i) => ({
    phone: `090-1234-${String(i).padStart(4, '0')}`, useCase: 'parcel_delivery', templateKey: 't', batch: 'prisma batch' })) });
  const n = await prisma.message.count({ where: { batch: 'prisma batch', state: 'queued' } });
  check('batch', n === 100, n);

  try {
    await prisma.message.create({ data: { phone: '090-8765-4321', useCase: 'reservatoin', templateKey: 't' } });
  } catch (e) {
    error(e.message + JSON.stringify(e), JSON.stringify(e));
  }
  await typo(() => prisma.message.create({ data: { phone: '090-8765-4321', priority: 'high', useCase: 'reservation', templateKey: 't' } }),
    (e) => e.message.trim().split('\n').pop(), 'the last line of `e.message`');

  const key = row(`prisma ${order.id}`);
  await upsert('createMany({ skipDuplicates })', () => prisma.message.createMany({ data: [key], skipDuplicates: true }));
  await upsert('upsert({ where: { id } })', async () =>
    (await prisma.message.upsert({ where: { id: message.id }, create: key, update: { priority: 4 } })).priority === 4);

  await prisma.message.delete({ where: { id: message.id } });
  check('cancel', (await prisma.message.findUnique({ where: { id: message.id } })).state === 'cancelled');
  await prisma.$disconnect();
}
main().catch((e) => { console.error(e); process.exit(1); });
