function line(check, result, detail = '') {
  console.log([check, result, String(detail).split(/\s+/).join(' ')].join('\t'));
}
const check = (name, good, detail = '') => line(name, good ? 'ok' : 'FAIL', detail);
function error(words, all = '') {
  check('error', words.includes('unknown use case'), words);
  line('number shown', (words + all).replace(/\D/g, '').includes('87654321') ? 'yes' : 'no');
}
// Another column is wrong: does what a logger prints show the number?  What to print instead?
const all = (e) => `${e.stack} ${e.message} ${JSON.stringify(e)}`;
const said = (words) => (words.replace(/\D/g, '').includes('87654321') ? 'shows' : 'does not show');
async function typo(run, hidden, how) {
  try {
    await run();
    line('typo', 'FAIL');
  } catch (e) {
    line('typo', said(all(e)));
    line('typo hidden', said(hidden(e)), how);
  }
}
// what comes of a library's call that would insert or update
async function upsert(call, attempt) {
  let result;
  try {
    result = (await attempt()) === false ? 'FAIL' : 'ok';
  } catch (e) {
    const found = e.code && /^[0-9A-Z]{5}$/.test(e.code) ? e : e.original || e.driverError || e.cause || e;
    result = found.originalCode || found.code || found.name;
  }
  line('upsert', result, call);
}
// what a tool wants that makes migrations from what it finds, in SQL
const migration = (tool, sql) => line('migration', /drop[^;]*line_notify/i.test(sql) ? 'wants to drop it' : /line_notify/i.test(sql) ? 'wants to change it' : 'leaves it alone', tool);
module.exports = { line, check, error, typo, upsert, migration };
