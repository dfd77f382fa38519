function line(check, result, detail = '') {
  console.log([check, result, String(detail).split(/\s+/).join(' ')].join('\t'));
}
const check = (name, good, detail = '') => line(name, good ? 'ok' : 'FAIL', detail);
function error(words, all = '') {
  check('error', words.includes('unknown use case'), words);
  line('number shown', (words + all).replace(/\D/g, '').includes('87654321') ? 'yes' : 'no');
}
module.exports = { line, check, error };
