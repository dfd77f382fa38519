# Dump with a row in every state, restore into a fresh database: the rows are
# equal, and nothing is sent, neither what waited nor what is inserted there.
# TAP: pg_dump, and two databases.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);

# every state: some by themselves, the rest by hand of the owner
$sim->set_recipients('+819010000002' => 'unreachable');
$node->insert('postgres', 3, set => { traceparent => "'00-' || repeat('a', 32) || '-' || repeat('b', 16) || '-01'" });
$node->wait_states('postgres', accepted => 2, unreachable => 1);
$node->by_hand('postgres', 1);
$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
# It looks for claims of the dead when it hears of the pause.  What it does after
# that in a turn is done: it will not find ours.
$node->safe_psql('postgres', q{SELECT line_notify.receive_verified_events('shop',
	'{"events":[{"type":"follow","source":{"type":"user","userId":"U1"},"webhookEventId":"1","timestamp":1750000000000}]}')});
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.webhook_event') or die 'not folded';
$node->safe_psql('postgres', q{
UPDATE line_notify.history SET state = 'delivered', delivered_at = now() WHERE id = 1;
INSERT INTO line_notify.history (id, channel, state, created_at, ended_at)
SELECT 100 + i, 'shop', s, now(), now()
FROM unnest('{undelivered,refused,unknown,invalid,suppressed,cancelled,expired,failed}'::line_notify.message_state[]) WITH ORDINALITY AS x(s, i)});
$node->insert('postgres', 2, first => 50, set => { traceparent => "'00-' || repeat('c', 32) || '-' || repeat('d', 16) || '-01'" });
$node->safe_psql('postgres', q{
INSERT INTO line_notify.in_flight (id, token, claimer, attempt, claimed_at, home)
SELECT min(id), 4711, 42, 1, now(), min(home) FROM line_notify.outbox});
my $want = { map { $_ => 1 } qw(undelivered unreachable refused unknown invalid suppressed cancelled expired failed queued sending accepted delivered) };
is_deeply($node->states('postgres'), $want, 'a row in every state');

my $sql = q{SELECT * FROM line_notify.%s ORDER BY 1, 2};
my @tables = qw(outbox in_flight history attempt_log channel identity sender);
my %before = map { ($_, $node->safe_psql('postgres', sprintf($sql, $_))) } @tables;
my $seq = $node->safe_psql('postgres', 'SELECT last_value FROM line_notify.message_id_seq');

my $file = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('postgres') ], 'pg_dump');
unlike(slurp_file($file), qr/@{[ $sim->token ]}/, 'the token is not in the dump');
$sim->reset;
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr('copy') ], 'restore');
is($node->safe_psql('copy', sprintf($sql, $_)), $before{$_}, "$_ is equal") for @tables;
is($node->safe_psql('copy', 'SELECT last_value FROM line_notify.message_id_seq'), $seq, 'the sequence goes on');

# the restored channel lacks its token on purpose; give it one: still silent
$node->safe_psql('copy', "SELECT line_notify.set_credential('shop', 'access_token', '@{[ $sim->token ]}')");
$node->safe_psql('copy', "SELECT line_notify.resume('shop')");
$node->insert('copy', 2, first => 70);
$node->worker_left('copy');
like($node->health('copy', "severity = 'error'"), qr/disarmed/, 'health() says disarmed');
is($node->safe_psql('copy', 'SELECT DISTINCT waiting_reason FROM line_notify.notifications WHERE waiting_reason IS NOT NULL'),
	'disarmed', 'and so do the rows');

# the original goes on, which also shows that the worker had time
$node->safe_psql('postgres', "DELETE FROM line_notify.in_flight; SELECT line_notify.resume('shop')");
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')") or die;
is($sim->summary->{requests}, 2, 'only the original sends');

# arm(): the claim of unknown fate becomes unknown, the rest is sent
$sim->reset;
$node->safe_psql('copy', 'SELECT line_notify.arm()');
ok($node->poll_query_until('copy', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"),
	'arm() lets it send');
is($node->safe_psql('copy', "SELECT count(*) FROM line_notify.notifications WHERE state = 'unknown'"), 2, 'what may have been sent stays unknown');
is($sim->summary->{requests}, 3, 'the others leave once');

$node->stop;
$sim->stop;
done_testing();
