<?php
function line($check, $result, $detail = '')
{
    echo implode("\t", [$check, $result, preg_replace('/\s+/', ' ', $detail)]), "\n";
}

function check($name, $good, $detail = '')
{
    line($name, $good ? 'ok' : 'FAIL', $detail);
}

function error($words)
{
    check('error', str_contains($words, 'unknown use case') && str_contains($words, 'reservation'), $words);
    line('number shown', str_contains(preg_replace('/\D/', '', $words), '87654321') ? 'yes' : 'no');
}

// Another column is wrong: does what a logger prints show the number?  What to print instead?
function typo($plain, $hidden, $how)
{
    foreach ([['typo', $plain, ''], ['typo hidden', $hidden, $how]] as [$check, $words, $detail])
        line($check, str_contains(preg_replace('/\D/', '', $words), '87654321') ? 'shows' : 'does not show', $detail);
}

// what comes of a library's call that would insert or update
function upsert($call, $try)
{
    try {
        $result = $try() ? 'ok' : 'FAIL';
    } catch (Exception $e) {
        preg_match('/SQLSTATE\[(\w+)\]/', $e->getMessage(), $found);
        $result = $found[1] ?? get_class($e);
    }
    line('upsert', $result, $call);
}

// what comes of a tool that makes migrations from what it finds, in SQL
function migration($tool, $try)
{
    try {
        $sql = implode(";\n", $try());
        $result = preg_match('/DROP.*line_notify/', $sql) ? 'wants to drop it' : (str_contains($sql, 'line_notify') ? 'wants to change it' : 'leaves it alone');
    } catch (Exception $e) {
        $result = preg_match('/Unknown database type (\w+)/', $e->getMessage(), $found) ? "fails: unknown type $found[1]" : get_class($e);
    }
    line('migration', $result, $tool);
}
