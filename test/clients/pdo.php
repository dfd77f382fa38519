<?php
// PHP PDO
require 'report.php';

line('version', 'ok', PHP_VERSION);
$db = new PDO('pgsql:dbname=postgres', 'app', '', [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);

$db->beginTransaction();
$order = $db->query("INSERT INTO orders (phone) VALUES ('090-1234-5678') RETURNING id")->fetchColumn();
$insert = $db->prepare('INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
    VALUES (?, ?, ?, ?, ?, ?) RETURNING id, state');
$insert->execute(['090-1234-5678', 'parcel_delivery', 'shipment_completed_ja',
    json_encode(['items' => [['itemKey' => 'number_001_ja', 'content' => '1234']]]), $order, "pdo $order"]);
['id' => $id, 'state' => $state] = $insert->fetch(PDO::FETCH_ASSOC);
$db->commit();
check('create', $state === 'queued' && $id > 0);

$insert->execute(['090-1234-5678', 'parcel_delivery', 't', null, null, "pdo $order"]);
check('duplicate', $insert->fetchColumn() === $id);

// one statement, several rows: their ids come in order
$bulk = $db->prepare("INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key)
    VALUES (?, 'parcel_delivery', 't', ?), (?, 'parcel_delivery', 't', ?), (?, 'parcel_delivery', 't', ?) RETURNING id");
$bulk->execute(['090-1234-5678', "pdo $order a", '090-1234-5678', "pdo $order b", '090-1234-5678', "pdo $order a"]);
$ids = $bulk->fetchAll(PDO::FETCH_COLUMN);
check('bulk with duplicate', $ids[0] === $ids[2] && $ids[0] !== $ids[1], json_encode($ids));

$read = $db->prepare('SELECT state, reference, phone FROM line_notify.messages WHERE id = ?');
$read->execute([$id]);
check('read back', $read->fetch(PDO::FETCH_NUM) === ['queued', (string) $order, null]);

$none = $db->query('SELECT * FROM line_notify.messages LIMIT 0');
$names = array_map(fn ($i) => $none->getColumnMeta($i)['name'], range(0, $none->columnCount() - 1));
check('introspect', in_array('id', $names) && in_array('state', $names));

$rows = array_map(fn ($i) => sprintf("090-1234-%04d\tparcel_delivery\tt\tpdo batch", $i), range(0, 99));
$db->pgsqlCopyFromArray('line_notify.messages', $rows, "\t", '\\\\N', 'phone, use_case, template_key, batch');
check('batch', $db->query("SELECT count(*) FROM line_notify.messages WHERE batch = 'pdo batch' AND state = 'queued'")->fetchColumn() == 100);

// false is sent as '' unless it is said to be a boolean
$flag = $db->prepare("INSERT INTO line_notify.messages (phone, use_case, messages, notification_disabled)
    VALUES ('090-1234-5678', 'parcel_delivery', '[{\"type\": \"text\", \"text\": \"x\"}]', ?)");
$flag->bindValue(1, false, PDO::PARAM_BOOL);
$flag->execute();

try {
    $insert->execute(['090-8765-4321', 'reservatoin', 't', null, null, null]);
} catch (PDOException $e) {
    error($e->getMessage());
}
try {
    $db->prepare("INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (?, 'high', 'reservation', 't')")->execute(['090-8765-4321']);
} catch (PDOException $e) {
    typo((string) $e, $e->getMessage(), '–');
}

$db->prepare('UPDATE line_notify.messages SET priority = 5 WHERE id = ?')->execute([$id]);
$db->prepare('DELETE FROM line_notify.messages WHERE id = ?')->execute([$id]);
$read->execute([$id]);
check('cancel', $read->fetchColumn() === 'cancelled');

$db->query("SELECT expire($ids[0])");
$fallback = [];

// outcomes wait: line_notify.notify_outcomes = 'outcomes' in the server
$db->exec('LISTEN outcomes');
// a job: outcomes are gone when this commits, so act inside of the transaction
$db->beginTransaction();
foreach ($db->query('SELECT id, state, reference FROM line_notify.take_outcomes(100)') as $outcome)
    $fallback[$outcome['id']] = $outcome['state'];
$db->commit();

$db->exec('NOTIFY outcomes');
check('job', ($fallback[$ids[0]] ?? '') === 'expired' && $db->pgsqlGetNotify(PDO::FETCH_ASSOC, 10000)['message'] === 'outcomes', json_encode($fallback));
