<?php
// Doctrine DBAL and ORM
foreach (['Doctrine/DBAL', 'Doctrine/ORM', 'Doctrine/Persistence'] as $part)
    foreach (["/usr/share/php/$part/autoload.php"] as $file)
        if (is_readable($file))
            require_once $file;
require 'report.php';

use Doctrine\DBAL\DriverManager;
use Doctrine\ORM\EntityManager;
use Doctrine\ORM\Mapping as ORM;
use Doctrine\ORM\ORMSetup;

line('version', 'ok', preg_replace('/[+-].*/', '', shell_exec("dpkg-query -W -f '\${Version}' php-doctrine-dbal")));

#[ORM\Entity, ORM\Table(name: 'orders')]
class Order
{
    #[ORM\Id, ORM\Column(type: 'bigint'), ORM\GeneratedValue(strategy: 'IDENTITY')]
    public $id;
    #[ORM\Column(type: 'text', nullable: true)]
    public $phone;
}

$db = DriverManager::getConnection(['driver' => 'pdo_pgsql', 'dbname' => 'postgres', 'user' => 'app']);

// An entity of its own would ask for lastval(), which the id of a message never
// is; so the row is inserted by DBAL, in the transaction of the entity manager.
$orm = new EntityManager($db, ORMSetup::createAttributeMetadataConfiguration([__DIR__], true));
[$order, $message] = $orm->wrapInTransaction(function ($orm) use ($db) {
    $order = new Order();
    $order->phone = '090-1234-5678';
    $orm->persist($order);
    $orm->flush();
    $message = $db->fetchAssociative('INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
        VALUES (?, ?, ?, ?, ?, ?) RETURNING id, state', [$order->phone, 'parcel_delivery', 'shipment_completed_ja',
        json_encode(['items' => [['itemKey' => 'number_001_ja', 'content' => '1234']]]), $order->id, "doctrine $order->id"]);
    return [$order, $message];
});
check('create', $message['state'] === 'queued' && $message['id'] > 0 && $order->id > 0);

$again = $db->fetchOne('INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES (?, ?, ?, ?) RETURNING id',
    ['090-1234-5678', 'parcel_delivery', 't', "doctrine $order->id"]);
check('duplicate', $again == $message['id']);

$ids = $db->fetchFirstColumn("INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key)
    SELECT '090-1234-5678', 'parcel_delivery', 't', k FROM unnest(string_to_array(?, ',')) k RETURNING id",
    ["doctrine $order->id a,doctrine $order->id b,doctrine $order->id a"]);
check('bulk with duplicate', $ids[0] === $ids[2] && $ids[0] !== $ids[1]);

$got = $db->fetchNumeric('SELECT state, reference, phone FROM line_notify.messages WHERE id = ?', [$message['id']]);
check('read back', $got === ['queued', (string) $order->id, null]);

// of results: the views that its schema manager lists are those of one's own
check('introspect', $db->executeQuery('SELECT * FROM line_notify.messages LIMIT 0')->columnCount() > 20);

$db->transactional(function ($db) {
    for ($i = 0; $i < 100; $i++)
        $db->insert('line_notify.messages', ['phone' => sprintf('090-1234-%04d', $i), 'use_case' => 'parcel_delivery', 'template_key' => 't', 'batch' => 'doctrine batch']);
});
check('batch', $db->fetchOne("SELECT count(*) FROM line_notify.messages WHERE batch = 'doctrine batch' AND state = 'queued'") == 100);

try {
    $db->insert('line_notify.messages', ['phone' => '090-8765-4321', 'use_case' => 'reservatoin', 'template_key' => 't']);
} catch (Doctrine\DBAL\Exception $e) {
    error($e->getMessage());
}
try {
    $db->insert('line_notify.messages', ['phone' => '090-8765-4321', 'priority' => 'high', 'use_case' => 'reservation', 'template_key' => 't']);
} catch (Doctrine\DBAL\Exception $e) {
    typo((string) $e, $e->getMessage(), '–');
}

// what a migration that is made from the entities would do
$update = fn () => (new Doctrine\ORM\Tools\SchemaTool($orm))->getUpdateSchemaSql([$orm->getClassMetadata('Order')]);
migration('doctrine:migrations:diff', $update);
$db->getConfiguration()->setSchemaAssetsFilter(fn ($name) => !str_starts_with(is_string($name) ? $name : $name->getName(), 'line_notify.'));
migration('schema_filter: ~^(?!line_notify\.)~', $update);

$db->update('line_notify.messages', ['priority' => 5], ['id' => $message['id']]);
$db->delete('line_notify.messages', ['id' => $message['id']]);
check('cancel', $db->fetchOne('SELECT state FROM line_notify.messages WHERE id = ?', [$message['id']]) === 'cancelled');
