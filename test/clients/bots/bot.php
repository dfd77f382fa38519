<?php
// PHP: the raw body, not $_POST
$body = file_get_contents('php://input');
try {
    $db = new PDO('pgsql:dbname=postgres', 'app', '', [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $call = $db->prepare('SELECT line_notify.receive_webhook(?, ?, ?)');
    $call->bindValue(1, 'shop');
    $call->bindValue(2, $body, PDO::PARAM_LOB);
    $call->bindValue(3, $_SERVER['HTTP_X_LINE_SIGNATURE'] ?? '');
    $call->execute();
} catch (PDOException $e) {
    // 28000: not from LINE.  Anything else: LINE shall deliver it again.
    http_response_code(($e->errorInfo[0] ?? null) === '28000' ? 401 : 503);
    exit;
}
foreach (json_decode($body, true)['events'] as $event)
    if ($event['type'] === 'message')
        echo $event['message']['text'];         // your bot
