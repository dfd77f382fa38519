// postgres.js
const fs = require('fs');
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
const postgres = require('postgres');
const { line, check, error, typo, upsert } = require('./report');

async function main() {
  line('version', 'ok', JSON.parse(fs.readFileSync(process.env.NODE_PATH + '/postgres/package.json')).version);
  const sql = postgres({ path: `${process.env.PGHOST}/.s.PGSQL.${process.env.PGPORT}`, user: 'app', database: 'postgres', onnotice() {} });

  const [order, message] = await sql.begin(async (sql) => {
    const [order] = await sql`INSERT INTO orders (phone) VALUES ('090-1234-5678') RETURNING id`;
    // objects and arrays become JSON by themselves; JSON.stringify() beside it encodes twice
    const [message] = await sql`INSERT INTO line_notify.messages ${sql({
      phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 'shipment_completed_ja',
      body: { items: [{ itemKey: 'number_001_ja', content: '1234' }] },
      reference: order.id, dedup_key: `postgres.js ${order.id}`,
    })} RETURNING id, state`;
    return [order, message];
  });
  check('create', message.state === 'queued' && message.id > 0);

  const row = (key) => ({ phone: '090-1234-5678', use_case: 'parcel_delivery', template_key: 't', dedup_key: key });
  const [again] = await sql`INSERT INTO line_notify.messages ${sql(row(`postgres.js ${order.id}`))} RETURNING id`;
  check('duplicate', again.id === message.id);

  const many = await sql`INSERT INTO line_notify.messages ${sql(['a', 'b', 'a'].map((k) => row(`postgres.js ${order.id} ${k}`)))} RETURNING id`;
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id);

  // a whole row, as it was read, with times cut to milliseconds, is written back
  const read = async () => (await sql`SELECT * FROM line_notify.messages WHERE id = ${message.id}`)[0];
  const got = await read();
  const write = (row) => sql`UPDATE line_notify.messages SET ${sql(row)} WHERE id = ${row.id}`;
  await write({ ...got, priority: 5 });
  const fresh = await read();
  check('read back', fresh.state === 'queued' && fresh.reference === order.id && fresh.phone === null && fresh.priority === 5);

  const { columns } = await sql`SELECT * FROM line_notify.messages LIMIT 0`;
  check('introspect', columns.some((c) => c.name === 'state'));

  const copy = await sql`COPY line_notify.messages (phone, use_case, template_key, batch) FROM STDIN`.writable();
  await pipeline(Readable.from(Array.from({ length: 100 }, (_, i) => `090-1234-${String(i).padStart(4, '0')}\tparcel_delivery\tt\tpostgres.js batch\n`)), copy);
  const [{ count }] = await sql`SELECT count(*) FROM line_notify.messages WHERE batch = 'postgres.js batch' AND state = 'queued'`;
  check('batch', count === '100', count);

  try {
    await sql`INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES (${'090-8765-4321'}, 'reservatoin', 't')`;
  } catch (e) {
    error(`${e.message} ${e.hint}`, JSON.stringify(e));
  }
  await typo(() => sql`INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (${'090-8765-4321'}, 'high', 'reservation', 't')`,
    (e) => e.message, '–');
  await upsert('ON CONFLICT DO NOTHING', async () =>
    (await sql`INSERT INTO line_notify.messages ${sql(row(`postgres.js ${order.id}`))} ON CONFLICT DO NOTHING RETURNING id`)[0].id === message.id);
  await upsert('ON CONFLICT (dedup_key) DO UPDATE', () =>
    sql`INSERT INTO line_notify.messages ${sql(row(`postgres.js ${order.id}`))} ON CONFLICT (dedup_key) DO UPDATE SET priority = 4`);

  await sql`DELETE FROM line_notify.messages WHERE id = ${message.id}`;
  await write(fresh);     // it ended: nothing is changed, nothing is refused
  check('cancel', (await read()).state === 'cancelled');
  await sql.end();
}
main().catch((e) => { console.error(e); process.exit(1); });
