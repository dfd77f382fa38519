# Databases that are not UTF8: the extension installs, Japanese names and rules
# are the same in EUC_JP, any bytes are survived in SQL_ASCII, and where the
# encoding lacks Japanese, keys and numbers still work.
# TAP: several databases, pg_dump.

use strict;
use warnings;
use utf8;

use Encode;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

$ENV{PGCLIENTENCODING} = 'UTF8';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

my @encodings = qw(UTF8 EUC_JP EUC_JIS_2004 SQL_ASCII LATIN1 WIN874 EUC_TW);
for my $e (@encodings)
{
	$node->safe_psql('postgres', "CREATE DATABASE \L$e\E TEMPLATE template0 ENCODING '$e' LOCALE 'C'");
	is($node->psql(lc $e, 'CREATE EXTENSION line_notify'), 0, "$e: CREATE EXTENSION");
	is($node->safe_psql(lc $e, q{SELECT line_notify.to_use_case('Parcel-Delivery'), line_notify.to_use_case('22'), count(*) FROM line_notify.use_cases}),
		'parcel_delivery|shipment_completed|22', "$e: keys and numbers");
	is($node->safe_psql(lc $e, q{SELECT count(*) FROM line_notify.template_catalogue}), 34, "$e: catalogue");
	is($node->safe_psql(lc $e, q{SELECT rule FROM line_notify.check_message('template', '{"templateKey": "a", "body": {"items": [{"itemKey": "a", "content": ""}]}}')}),
		'value_empty', "$e: check_message");
	$node->command_ok([ 'pg_dump', '--schema-only', '-f', '/dev/null', $node->connstr(lc $e) ], "$e: pg_dump");
}

# a webhook body as a string: taken where every body fits into a text, refused
# with a hint at the first call where it does not
for my $e (@encodings)
{
	$node->safe_psql(lc $e, q{SELECT line_notify.create_channel('wh'); SELECT line_notify.set_credential('wh', 'channel_secret', 'secret')});
	my ($stdout, $stderr);
	$node->psql(lc $e, q{SELECT line_notify.receive_webhook('wh', '{"events": []}', 'x')}, stdout => \$stdout, stderr => \$stderr);
	like($stderr, $e =~ /^(UTF8|SQL_ASCII)$/ ? qr/signature does not match/ : qr/must be passed as bytes.*HINT:  Pass the raw bytes/s, "$e: a webhook body that is a string");
	$node->psql(lc $e, q{SELECT line_notify.receive_webhook('wh', '{"events": []}'::bytea, 'x')}, stderr => \$stderr);
	like($stderr, qr/signature does not match/, "$e: and as bytes");
}

my $names = 'SELECT no, name_ja, subcategory_ja, description_ja FROM line_notify.use_cases ORDER BY 1';
my $labels = 'SELECT key, name, label FROM line_notify.template_catalogue ORDER BY kind, key';
for my $e (qw(EUC_JP EUC_JIS_2004 SQL_ASCII))
{
	is($node->safe_psql(lc $e, $names), $node->safe_psql('utf8', $names), "$e: the names of UTF8");
	is($node->safe_psql(lc $e, $labels), $node->safe_psql('utf8', $labels), "$e: the labels of UTF8");
	my $ask = encode_utf8(q{SELECT line_notify.to_use_case('決済ｴﾗｰ'), line_notify.to_use_case('リマインド（支払期限）'), line_notify.to_use_case('申し込み完了')});
	is($node->safe_psql(lc $e, $ask), 'payment_error|reminder_payment_deadline|application_completed', "$e: spellings");
	my (undef, undef, $err) = $node->psql(lc $e, encode_utf8(q{SELECT line_notify.to_use_case('配達通知')}));
	like(decode_utf8($err), qr/unknown use case: "配達通知".*Did you mean "parcel_delivery" \(配送通知\)/s, "$e: the error too");
}
is($node->safe_psql('latin1', 'SELECT count(name_ja), count(name_en) FROM line_notify.use_cases'), '0|22', 'LATIN1: no Japanese names');

# lengths are UTF-16 units, whatever the bytes
for my $e (qw(UTF8 EUC_JP SQL_ASCII))
{
	my $sql = q{SELECT n, (SELECT rule FROM line_notify.check_message('template', jsonb_build_object('templateKey', 'a', 'body', jsonb_build_object('emphasizedItem', jsonb_build_object('itemKey', 'a', 'content', repeat('あ', n)))))) FROM unnest('{15,16}'::int[]) n};
	is($node->safe_psql(lc $e, encode_utf8($sql)), "15|\n16|value_too_long", "$e: 15 characters");
	is(decode_utf8($node->safe_psql(lc $e, encode_utf8(q{SELECT path FROM line_notify.check_message('flexible', '{"messages": [{"type": "flex", "altText": "a", "contents": {"type": "bubble", "日本": {"type": "image"}}}]}') WHERE rule = 'flex_media'}))),
		'messages[0].contents["日本"]', "$e: a name in a path");
	is(decode_utf8($node->safe_psql(lc $e, q{SELECT line_notify.format_date('2026-11-21'), line_notify.format_money(12000), line_notify.format_time_range('10:00', '12:00')})),
		'2026年11月21日(土)|12,000円|10:00' . ($e eq 'EUC_JP' ? '～' : '〜') . '12:00', "$e: formats");
}

# what the encoding lacks is an error of its own, not a question mark
my (undef, undef, $err) = $node->psql('euc_jp', "\\set VERBOSITY sqlstate\nSELECT line_notify.format_date('2026-11-21', 'TH')");
like($err, qr/22P05/, 'EUC_JP: Thai cannot be written');
(undef, undef, $err) = $node->psql('latin1', "\\set VERBOSITY sqlstate\nSELECT line_notify.format_money(1)");
like($err, qr/22P05/, 'LATIN1: nor the yen sign');

# SQL_ASCII takes any bytes as text
{
	local $ENV{PGCLIENTENCODING} = 'SQL_ASCII';
	my $bad = q{convert_from('\x61ff', 'SQL_ASCII')};
	is($node->safe_psql('sql_ascii', qq{SELECT severity, path, rule FROM line_notify.check_message('template', jsonb_build_object('templateKey', 'a', 'body', jsonb_build_object('items', jsonb_build_array(jsonb_build_object('itemKey', 'a', 'content', $bad)))))}),
		"error|body.items[0].content|invalid_utf8\nerror||invalid_utf8", 'SQL_ASCII: invalid UTF-8 in a value');
	is($node->safe_psql('sql_ascii', qq{SELECT rule, path FROM line_notify.check_message('template', jsonb_build_object('templateKey', 'a', 'x', $bad, $bad, 1)) WHERE severity = 'error'}),
		'invalid_utf8|', 'SQL_ASCII: invalid UTF-8 anywhere else');
	(undef, undef, $err) = $node->psql('sql_ascii', "\\set VERBOSITY sqlstate\nSELECT line_notify.to_use_case($bad)");
	like($err, qr/22023/, 'SQL_ASCII: invalid UTF-8 is no use case');
	is($node->safe_psql('sql_ascii', q{SELECT v.reference = convert_from('\xe6b3a8', 'SQL_ASCII') FROM line_notify.signed_link('https://a.example', convert_from('\xe6b3a8', 'SQL_ASCII')) l, line_notify.verify_link(l) v}),
		't', 'SQL_ASCII: the reference of a link');
}

# a link that was signed in one encoding verifies in the same database
is(decode_utf8($node->safe_psql('euc_jp', encode_utf8(q{SELECT v.valid, v.reference FROM line_notify.verify_link(line_notify.signed_link('https://a.example', '注文1')) v}))),
	't|注文1', 'EUC_JP: the reference of a link');

# from one encoding to another
$node->safe_psql('utf8', encode_utf8(q{CREATE TABLE t (use_case line_notify.use_case, note text);
INSERT INTO t SELECT use_case, name_ja FROM line_notify.use_cases;
INSERT INTO line_notify.template_catalogue (kind, key, name, use_case) VALUES ('template', 'own_ja', '自社', 'outage')}));
my $file = $PostgreSQL::Test::Utils::tmp_check . '/encodings.sql';
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('utf8') ], 'pg_dump of UTF8');
$node->safe_psql('postgres', q{CREATE DATABASE copy TEMPLATE template0 ENCODING 'EUC_JP' LOCALE 'C'});
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr('copy') ], 'restore into EUC_JP');
for my $sql ('SELECT * FROM t ORDER BY use_case', $names, $labels)
{
	is($node->safe_psql('copy', $sql), $node->safe_psql('utf8', $sql), "equal: $sql");
}
isnt($node->safe_psql('copy', 'SELECT secret FROM line_notify.link_key'), $node->safe_psql('utf8', 'SELECT secret FROM line_notify.link_key'),
	'the copy has a key for links of its own');

$node->stop;
done_testing();
