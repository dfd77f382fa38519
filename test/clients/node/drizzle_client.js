// Drizzle
const { Pool } = require('pg');
const { drizzle } = require('drizzle-orm/node-postgres');
const { pgSchema, pgTable, bigint, text, jsonb, smallint } = require('drizzle-orm/pg-core');
const { eq, and, sql } = require('drizzle-orm');
const { line, check, error, typo, upsert } = require('./report');

const orders = pgTable('orders', { id: bigint('id', { mode: 'number' }).generatedByDefaultAsIdentity(), phone: text('phone') });
const messages = pgSchema('line_notify').table('messages', {
  // ids are below 2^53
  id: bigint('id', { mode: 'number' }).generatedByDefaultAsIdentity(),
  phone: text('phone'), useCase: text('use_case'), templateKey: text('template_key'), body: jsonb('body'),
  reference: text('reference'), dedupKey: text('dedup_key'), batch: text('batch'), priority: smallint('priority'), state: text('state'),
});

async function main() {
  line('version', 'ok', JSON.parse(require('fs').readFileSync(process.env.NODE_PATH + '/drizzle-orm/package.json')).version);
  const pool = new Pool({ host: process.env.PGHOST, user: 'app' });
  const db = drizzle(pool);

  const [order, message] = await db.transaction(async (tx) => {
    const [order] = await tx.insert(orders).values({ phone: '090-1234-5678' }).returning();
    const [message] = await tx.insert(messages).values({
      phone: order.phone, useCase: 'parcel_delivery', templateKey: 'shipment_completed_ja',
      body: { items: [{ itemKey: 'number_001_ja', content: '1234' }] },
      reference: String(order.id), dedupKey: `drizzle ${order.id}`,
    }).returning();
    return [order, message];
  });
  check('create', message.state === 'queued' && message.id > 0 && message.phone === null);

  const row = (key) => ({ phone: '090-1234-5678', useCase: 'parcel_delivery', templateKey: 't', dedupKey: key });
  const [again] = await db.insert(messages).values(row(`drizzle ${order.id}`)).returning();
  check('duplicate', again.id === message.id);

  const many = await db.insert(messages).values(['a', 'b', 'a'].map((k) => row(`drizzle ${order.id} ${k}`))).returning();
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id);

  await db.update(messages).set({ priority: 5 }).where(eq(messages.id, message.id));
  const [got] = await db.select().from(messages).where(eq(messages.id, message.id));
  check('read back', got.state === 'queued' && got.reference === String(order.id) && got.phone === null && got.priority === 5);

  const { fields } = await db.execute(sql`SELECT * FROM line_notify.messages LIMIT 0`);
  check('introspect', fields.some((f) => f.name === 'state'));

  await db.insert(messages).values(Array.from({ length: 100 }, (_, i) => ({
    phone: `090-1234-${String(i).padStart(4, '0')}`, useCase: 'parcel_delivery', templateKey: 't', batch: 'drizzle batch' })));
  const n = await db.$count(messages, and(eq(messages.batch, 'drizzle batch'), eq(messages.state, 'queued')));
  check('batch', n === 100, n);

  try {
    await db.insert(messages).values({ phone: '090-8765-4321', useCase: 'reservatoin', templateKey: 't' });
  } catch (e) {
    error(`${e.message} ${e.cause.message} ${e.cause.hint}`, JSON.stringify(e));
  }
  await typo(() => db.execute(sql`INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (${'090-8765-4321'}, 'high', 'reservation', 't')`),
    (e) => e.cause.message, '`e.cause.message` instead of `e.message`');

  const key = row(`drizzle ${order.id}`);
  await upsert('onConflictDoNothing()', async () =>
    (await db.insert(messages).values(key).onConflictDoNothing().returning())[0].id === message.id);
  await upsert('onConflictDoUpdate()', () =>
    db.insert(messages).values(key).onConflictDoUpdate({ target: messages.dedupKey, set: { priority: 4 } }));

  await db.delete(messages).where(eq(messages.id, message.id));
  check('cancel', (await db.select().from(messages).where(eq(messages.id, message.id)))[0].state === 'cancelled');
  await pool.end();
}
main().catch((e) => { console.error(e); process.exit(1); });
