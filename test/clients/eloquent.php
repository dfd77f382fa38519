<?php
// Laravel's Eloquent, without Laravel
error_reporting(E_ALL & ~E_DEPRECATED);
if (is_readable('/usr/share/php/Illuminate/Database/autoload.php'))
    require_once '/usr/share/php/Illuminate/Database/autoload.php';
require 'report.php';

use Illuminate\Database\Capsule\Manager as DB;
use Illuminate\Database\Eloquent\Model;

line('version', 'ok', preg_replace('/[+-].*/', '', shell_exec("dpkg-query -W -f '\${Version}' php-illuminate-database")));
$capsule = new DB();
$capsule->addConnection(['driver' => 'pgsql', 'host' => getenv('PGHOST'), 'port' => getenv('PGPORT'), 'database' => 'postgres', 'username' => 'app', 'password' => '']);
$capsule->setAsGlobal();
$capsule->bootEloquent();

class Order extends Model
{
    public $timestamps = false;
    protected $guarded = [];
}

class Message extends Model
{
    protected $table = 'line_notify.messages';
    public $timestamps = false;
    protected $guarded = [];
    protected $casts = ['body' => 'array', 'messages' => 'array'];
}

[$order, $message] = DB::transaction(function () {
    $order = Order::create(['phone' => '090-1234-5678']);
    $message = Message::create(['phone' => $order->phone, 'use_case' => 'parcel_delivery', 'template_key' => 'shipment_completed_ja',
        'body' => ['items' => [['itemKey' => 'number_001_ja', 'content' => '1234']]],
        'reference' => $order->id, 'dedup_key' => "eloquent $order->id"]);
    return [$order, $message];
});
check('create', $message->id > 0 && $message->refresh()->state === 'queued');

$again = Message::create(['phone' => '090-1234-5678', 'use_case' => 'parcel_delivery', 'template_key' => 't', 'dedup_key' => "eloquent $order->id"]);
$same = Message::firstOrCreate(['dedup_key' => "eloquent $order->id"], ['phone' => '090-1234-5678', 'use_case' => 'parcel_delivery', 'template_key' => 't']);
check('duplicate', $again->id == $message->id && $same->id == $message->id);

// insert() of many rows says nothing of their ids: they are found by their dedup_key
$rows = array_map(fn ($k) => ['phone' => '090-1234-5678', 'use_case' => 'parcel_delivery', 'template_key' => 't',
    'dedup_key' => "eloquent $order->id $k"], ['a', 'b', 'a']);
Message::insert($rows);
check('bulk with duplicate', Message::where('dedup_key', 'like', "eloquent $order->id %")->pluck('id')->unique()->count() === 2);

$message = Message::find($message->id);
$message->priority = 5;
$message->save();
$message->refresh();
check('read back', $message->state === 'queued' && $message->reference == $order->id && $message->phone === null && $message->priority === 5);

check('introspect', in_array('messages', DB::table('information_schema.views')->where('table_schema', 'line_notify')->pluck('table_name')->all()));

DB::transaction(fn () => Message::insert(array_map(fn ($i) => ['phone' => sprintf('090-1234-%04d', $i), 'use_case' => 'parcel_delivery',
    'template_key' => 't', 'batch' => 'eloquent batch'], range(0, 99))));
check('batch', Message::where('batch', 'eloquent batch')->where('state', 'queued')->count() === 100);

try {
    Message::create(['phone' => '090-8765-4321', 'use_case' => 'reservatoin', 'template_key' => 't']);
} catch (Illuminate\Database\QueryException $e) {
    error($e->getMessage());
}
try {
    Message::create(['phone' => '090-8765-4321', 'priority' => 'high', 'use_case' => 'reservation', 'template_key' => 't']);
} catch (Illuminate\Database\QueryException $e) {
    typo((string) $e, $e->getPrevious()->getMessage(), '`$e->getPrevious()->getMessage()` instead of `$e`');
}

$row = ['phone' => '090-1234-5678', 'use_case' => 'parcel_delivery', 'template_key' => 't', 'dedup_key' => "eloquent $order->id"];
upsert('insertOrIgnore()', fn () => Message::insertOrIgnore([$row]) >= 0);
upsert('firstOrCreate()', fn () => Message::firstOrCreate(['dedup_key' => $row['dedup_key']], $row)->id == $message->id);
upsert('updateOrCreate()', fn () => Message::updateOrCreate(['dedup_key' => $row['dedup_key']], ['priority' => 4])->id == $message->id);
upsert("upsert([…], ['dedup_key'])", fn () => Message::upsert([$row], ['dedup_key'], ['priority']));

$message->delete();
check('cancel', Message::find($message->id)->state === 'cancelled');
