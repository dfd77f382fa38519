# A committed message leaves exactly once, a rolled-back one never; what leaves
# is what LINE asks for.  TAP, because a second process (the worker) and the
# network are part of the claim; the simulator is the judge.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use JSON::PP;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);

# ---- one message, and what it looks like to LINE
my $id = $node->safe_psql('postgres', q{
INSERT INTO line_notify.outbox (phone, use_case, template_key, body)
VALUES ('０９０-1234-5678', 'parcel_delivery', 'shipment_completed_ja',
	'{"emphasizedItem": {"itemKey": "date_002_ja", "content": "11月21日(土)"},
	  "items": [{"itemKey": "number_001_ja", "content": "4321-0987"}],
	  "buttons": [{"buttonKey": "check_delivery_status_ja", "url": "https://example.com/p/1"}]}')
RETURNING id});
$node->wait_states('postgres', accepted => 1);
my ($r) = $sim->requests(headers => 1, body => 1);
is($r->{path}, '/v2/bot/message/pnp/templated/push', 'template messages go to their endpoint');
is($r->{status}, 202, 'and are answered 202');
my %h = map { lc($_->[0]) => $_->[1] } @{ $r->{headers} };
is($h{authorization}, 'Bearer ' . $sim->token, 'with the token');
is($h{'content-type'}, 'application/json', 'as JSON');
like($h{'x-line-delivery-tag'}, qr/^ln1-$id-1-[0-9a-v]{13}$/, 'with a tag of ours');
ok(!exists $h{'x-line-retry-key'}, 'without a retry key');
ok(!exists $h{expect}, 'without Expect');
is($h{'user-agent'}, 'line_notify/1.0', 'and says who asks');
my $body = JSON::PP->new->decode($r->{body});
is($body->{to}, '3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64',
	'the recipient is the hash of +819012345678');
is($body->{templateKey}, 'shipment_completed_ja', 'template key');
is($body->{body}{emphasizedItem}{content}, "11\x{6708}21\x{65e5}(\x{571f})", 'Japanese text arrives');
is_deeply($body->{customAggregationUnits}, ['parcel_delivery'], 'the use case is the unit of statistics');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.outbox'), 0, 'the outbox is empty again');
is($node->safe_psql('postgres',
		"SELECT state, attempts, http_status, request_id IS NOT NULL, error IS NULL FROM line_notify.notifications WHERE id = $id"),
	'accepted|1|202|t|t', 'the row says what happened');
is($node->safe_psql('postgres', "SELECT attempt, outcome FROM line_notify.attempts WHERE id = $id"),
	'1|accepted', 'and so does its attempt');

# ---- a flexible message goes elsewhere
$node->safe_psql('postgres', q{
INSERT INTO line_notify.outbox (phone, use_case, messages)
VALUES ('+66 81 234 5678', 'reservation', '[{"type": "text", "text": "ok"}]')});
$node->wait_states('postgres', accepted => 2);
($r) = $sim->requests(since => 1, body => 1);
is($r->{path}, '/bot/pnp/push', 'flexible messages go to theirs');
is($r->{status}, 200, 'and are answered 200');

# ---- commit, rollback, savepoint
$sim->reset;
$node->safe_psql('postgres', 'BEGIN; ' . $node->insert_sql(5) . '; ROLLBACK');
$node->safe_psql('postgres',
	'BEGIN; ' . $node->insert_sql(2, first => 101) . '; SAVEPOINT s; ' . $node->insert_sql(3, first => 201)
	  . '; ROLLBACK TO s; COMMIT');
$node->wait_states('postgres', accepted => 4);
is($sim->summary->{requests}, 2, 'a rollback and a rolled-back savepoint send nothing');

# ---- 10,000 rows by INSERT ... SELECT, and by COPY
$sim->reset;
$node->safe_psql('postgres', q{SELECT line_notify.alter_channel('shop', rate_limit => 2000)});
$node->insert('postgres', 10000, first => 10001);
$node->wait_states('postgres', accepted => 10004);
my $s = $sim->summary;
is($s->{requests}, 10000, 'INSERT ... SELECT of 10,000 rows: as many requests');
is($s->{recipients}{distinct}, 10000, 'to as many people');
is($s->{messages}{received_twice}, 0, 'none twice');

$sim->reset;
my $copy = "COPY line_notify.outbox (phone, use_case, template_key) FROM STDIN;\n"
  . join('', map { sprintf("080-%04d-%04d\tparcel_delivery\tshipment_completed_ja\n", 3000 + $_ / 10000, $_ % 10000) } 1 .. 10000)
  . "\\.\n";
$node->safe_psql('postgres', $copy);
$node->wait_states('postgres', accepted => 20004);
$s = $sim->summary;
is($s->{requests}, 10000, 'COPY of 10,000 rows: as many requests');
is($s->{recipients}{distinct}, 10000, 'to as many people');
is($s->{messages}{received_twice}, 0, 'none twice');

# ---- nothing of a number is stored or logged
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.outbox WHERE phone IS NOT NULL'), 0, 'no number in the table');
my ($rc, $out, $err) = $node->psql('postgres',
	q{INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('nosuch', '09098765432', 'reservation', 'x')});
isnt($rc, 0, 'an unknown channel is an error');
my $log = slurp_file($node->logfile);
unlike($log, qr/9098765432/, 'whose log line does not show the number');
unlike($log, qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');

$node->stop;
$sim->stop;
done_testing();
