# Edges: configuration read under an old snapshot must not stay
# in a session's memory; a DROP DATABASE that cannot succeed must not cost what
# is on the wire; more databases than places must not starve one that sends.
# TAP: sessions, workers and restarts.

use strict;
use warnings;

use IPC::Run;
use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.max_databases' => 3, 'line_notify.shutdown_timeout' => '60s');
$node->safe_psql('postgres', "CREATE DATABASE plain_$_") for 1 .. 5;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->install('shop', $sim, channel => "total_timeout => '10 min'");

# ---- a snapshot from before the configuration changed
my $s1 = $node->background_psql('shop');
$s1->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;');
$node->safe_psql('shop', "SELECT line_notify.create_channel('second', api_base => '@{[ $sim->url ]}'); SELECT line_notify.alter_channel('shop', on_invalid => 'error')");
$s1->query_safe(q{INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('shop', '090-1234-5678', 'reservation', 't'); COMMIT;});
my $seen = $s1->query(q{INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('second', '090-1234-5678', 'reservation', 't') RETURNING 'known';});
like($seen, qr/known/, 'a channel made during a REPEATABLE READ transaction is known after it');
$s1->quit;
$node->safe_psql('shop', "SELECT line_notify.alter_channel('shop', on_invalid => 'park')");
ok($node->poll_query_until('shop', "SELECT count(*) = 1 FROM line_notify.notifications WHERE state = 'accepted'"), 'and the message was sent');

# ---- a DROP DATABASE that fails
$sim->reset;
$sim->script({ match => { path => 'send' }, do => 'hold' });
$node->insert('shop', 5, first => 100, set => { channel => "'shop'" });
$sim->wait_requests(5) or die;
my ($rc, $out, $err) = $node->psql('postgres', 'BEGIN; DROP DATABASE shop; COMMIT');
like($err, qr/cannot run inside a transaction block/, 'DROP DATABASE in a transaction block fails');
my $other = $node->background_psql('shop');
# our worker is asked to leave, and waits for its answers
my $drop = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'DROP DATABASE shop' ], '>', \$out, '2>', \$err);
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'DROP DATABASE shop' AND wait_event_type = 'Extension'"), 'another one waits for the worker');
like($other->query_safe('SELECT count(*) FROM line_notify.in_flight'), qr/^5$/m, 'with five on the wire');
$sim->clear_script;
$drop->finish;
like($err, qr/being accessed by other users/, 'and fails while somebody is connected');
$other->quit;
ok($node->poll_query_until('shop', "SELECT count(*) = 6 FROM line_notify.notifications WHERE state = 'accepted'"),
	'what was on the wire is accepted, nothing became unknown');

# ---- more databases than places
$node->restart;
$sim->reset;
$node->insert('shop', 3, first => 200, set => { channel => "'shop'" });
ok($node->poll_query_until('shop', "SELECT count(*) = 9 FROM line_notify.notifications WHERE state = 'accepted'"),
	'eight databases, three places: the one that sends gets one');
is($sim->summary->{requests}, 3, 'once each');

# ---- what may have been sent once never ends as if it had not
$node->safe_psql('shop', "SELECT line_notify.pause('shop')");
$node->insert('shop', 1, first => 300, set => { channel => "'shop'" });
$node->safe_psql('shop', "UPDATE line_notify.outbox SET maybe_sent = true; SELECT line_notify.alter_channel('shop', only_recipients => ARRAY[repeat('0', 64)]); SELECT line_notify.resume('shop')");
ok($node->poll_query_until('shop', "SELECT state FROM line_notify.notifications WHERE reference = 'ref 300'", 'unknown'),
	'perhaps sent, then suppressed: unknown');

# ---- an error of a statement with a number is logged without the statement
$node->psql('shop', q{INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('shop', '090-9999-8888', 'nonsense', 't')});
$node->psql('shop', q{SELECT line_notify.phone_hash('JP', '090-9999-7777')});
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/9999-[78]/, 'no number in the log');

$node->stop;
$sim->stop;
done_testing();
