// node-postgres
const { Pool } = require('pg');
const { from } = require('pg-copy-streams');
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');
const { line, check, error, typo } = require('./report');

async function main() {
  line('version', 'ok', require('pg/package.json').version);
  const pool = new Pool({ host: process.env.PGHOST, user: 'app' });
  const client = await pool.connect();

  await client.query('BEGIN');
  const order = (await client.query("INSERT INTO orders (phone) VALUES ('090-1234-5678') RETURNING id")).rows[0];
  // objects become JSON by themselves; an array must be made JSON by hand, since
  // node-postgres takes it for an array of PostgreSQL: JSON.stringify(messages)
  const message = (await client.query(
    `INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING id, state`,
    ['090-1234-5678', 'parcel_delivery', 'shipment_completed_ja',
      { items: [{ itemKey: 'number_001_ja', content: '1234' }] }, order.id, `pg ${order.id}`])).rows[0];
  await client.query('COMMIT');
  check('create', message.state === 'queued' && Number.isSafeInteger(Number(message.id)));

  const again = (await client.query(
    "INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES ($1, $2, 't', $3) RETURNING id",
    ['090-1234-5678', 'parcel_delivery', `pg ${order.id}`])).rows[0];
  check('duplicate', again.id === message.id);

  const many = (await client.query(
    `INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) RETURNING id`,
    [['090-1234-5678', '090-1234-5678', '090-1234-5678'], ['parcel_delivery', 'parcel_delivery', 'parcel_delivery'],
      ['t', 't', 't'], ['a', 'b', 'a'].map((k) => `pg ${order.id} ${k}`)])).rows;
  check('bulk with duplicate', many[0].id === many[2].id && many[0].id !== many[1].id);

  const got = (await client.query('SELECT state, reference, phone FROM line_notify.messages WHERE id = $1', [message.id])).rows[0];
  check('read back', got.state === 'queued' && got.reference === order.id && got.phone === null);

  const none = await client.query('SELECT * FROM line_notify.messages LIMIT 0');
  check('introspect', none.fields.some((f) => f.name === 'state'));

  const rows = Array.from({ length: 100 }, (_, i) => `090-1234-${String(i).padStart(4, '0')}\tparcel_delivery\tt\tpg batch\n`);
  await pipeline(Readable.from(rows), client.query(from(
    'COPY line_notify.messages (phone, use_case, template_key, batch) FROM STDIN')));
  const n = (await client.query("SELECT count(*) FROM line_notify.messages WHERE batch = 'pg batch' AND state = 'queued'")).rows[0].count;
  check('batch', n === '100', n);

  await client.query("INSERT INTO line_notify.messages (phone, use_case, messages) VALUES ($1, 'parcel_delivery', $2)",
    ['090-1234-5678', JSON.stringify([{ type: 'text', text: 'x' }])]);

  try {
    await client.query("INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES ($1, $2, 't')", ['090-8765-4321', 'reservatoin']);
  } catch (e) {
    error(`${e.message} ${e.hint}`, JSON.stringify(e));
  }
  await typo(() => client.query("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES ($1, 'high', 'reservation', 't')", ['090-8765-4321']), (e) => e.message, '–');

  await client.query('UPDATE line_notify.messages SET priority = 5 WHERE id = $1', [message.id]);
  await client.query('DELETE FROM line_notify.messages WHERE id = $1', [message.id]);
  check('cancel', (await client.query('SELECT state FROM line_notify.messages WHERE id = $1', [message.id])).rows[0].state === 'cancelled');

  await client.query('SELECT expire($1)', [many[0].id]);
  const fallback = [];

  // outcomes wait: line_notify.notify_outcomes = 'outcomes' in the server
  const told = new Promise((resolve) => client.on('notification', resolve));
  await client.query('LISTEN outcomes');
  // a job: outcomes are gone when this commits, so act inside of the transaction
  await client.query('BEGIN');
  for (const outcome of (await client.query('SELECT id, state, reference FROM line_notify.take_outcomes(100)')).rows)
    fallback.push(outcome);
  await client.query('COMMIT');

  await client.query('NOTIFY outcomes');
  check('job', fallback.some((o) => o.id === many[0].id && o.state === 'expired') && (await told).channel === 'outcomes');
  client.release(true);
  await pool.end();
}
main().catch((e) => { console.error(e); process.exit(1); });
