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
module.exports = { line, check, error, typo };
