# Memory stays: of a session over many committing transactions, and of the
# worker over messages and reloads; and a held snapshot does not slow the claim
# down beyond reason.  LN_MEMORY_TRANSACTIONS (20000; a million by hand).  TAP:
# long-lived processes.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $transactions = $ENV{LN_MEMORY_TRANSACTIONS} // 20000;
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', fsync => 'off', 'line_notify.enabled' => 'off');
$node->install('postgres', $sim);

# a session: each transaction inserts one message.
$node->safe_psql('postgres', q{
CREATE PROCEDURE many(n int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		INSERT INTO line_notify.outbox (recipient, use_case, template_key, body)
		VALUES (repeat('a', 64), 'parcel_delivery', 'shipment_completed_ja', '{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}');
		COMMIT;
	END LOOP;
END $$});
my $t = time();
my $sum = 'SELECT sum(used_bytes) FROM pg_backend_memory_contexts;';
my $few = int($transactions / 10);
my ($first, $last) = (split /\n/, $node->safe_psql('postgres',
	"SET synchronous_commit = off; CALL many($few); $sum CALL many($few); $sum CALL many($transactions); $sum"))[1, 2];
note sprintf '%d transactions in %.1f s: %d bytes after a tenth, %d at the end', $transactions, time() - $t, $first, $last;
cmp_ok($last - $first, '<', 32768, 'a session does not grow with its transactions');

# the worker: messages and reloads
$node->safe_psql('postgres', 'TRUNCATE line_notify.outbox');
$node->append_conf('postgresql.conf', 'line_notify.enabled = on');
$node->reload;
my $n = 0;

sub send_some
{
	my ($k) = @_;
	$node->insert('postgres', $k, first => $n + 1);
	$n += $k;
	$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.outbox') or die 'not sent';
}

sub rss
{
	my $pid = $node->worker_pid('postgres');
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s*(\d+)/m ? $1 : 0;
}
send_some(1500);
my $before = rss();
my $pid = $node->worker_pid('postgres');
for my $round (1 .. 3)
{
	send_some(1000);
	for (1 .. 20)
	{
		$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', rate_limit => 1999 + $_ % 2); SELECT line_notify._wake()");
	}
	$node->reload;
}
my $grown = rss() - $before;
note "the worker grew by $grown kB over 3000 messages and 60 configurations";
cmp_ok($grown, '<', 3000, 'the worker does not grow');
is($node->worker_pid('postgres'), $pid, 'and is the same');

# statistics that autovacuum sees
ok($node->poll_query_until('postgres', "SELECT n_tup_del >= 4000 FROM pg_stat_user_tables WHERE relname = 'outbox' AND schemaname = 'line_notify'"),
	'the worker reports what it deletes');

# a held snapshot: nothing can be vacuumed
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM line_notify.outbox');
my @seconds;
for my $round (1 .. 4)
{
	$t = time();
	send_some(500);
	push @seconds, time() - $t;
}
$holder->query_safe('COMMIT');
$holder->quit;
note 'under a held snapshot, seconds per 500: ' . join ' ', map { sprintf '%.2f', $_ } @seconds;
is($sim->summary->{messages}{received_twice}, 0, 'no message was sent twice');
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
