# Whatever an owner breaks, the worker neither spins nor fills the log: each of
# many databases has a fault of its own, planted under a running worker, with
# work of every kind to do.  The bytes of log are counted over five seconds of
# that.  Settings of a database do no harm at all, session_authorization among
# them, which would make the worker another role; and when a fault is gone,
# messages go on.
# TAP: many workers, and the server's log.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', max_worker_processes => 60, max_connections => 120, log_line_prefix => '%m [%p] ');
$node->safe_psql('postgres', 'CREATE ROLE owner; CREATE ROLE dba SUPERUSER LOGIN');

# what a trigger may raise: those who tell faults of a row from others must not
# take one for the other and try again at once
sub raises
{
	my ($when, $table, $state, $deferred) = @_;
	my $function = 'CREATE OR REPLACE FUNCTION public.boom() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN %s; END$$;';
	return (
		# a sequence counts what is rolled back, too
		'CREATE SEQUENCE public.tries; SELECT nextval($$public.tries$$);'
		  . sprintf($function, "PERFORM nextval('public.tries'); RAISE EXCEPTION 'boom' USING ERRCODE = '$state'")
		  . ($deferred ? "CREATE CONSTRAINT TRIGGER boom AFTER $when ON line_notify.$table DEFERRABLE INITIALLY DEFERRED" : "CREATE TRIGGER boom BEFORE $when ON line_notify.$table")
		  . ' FOR EACH ROW EXECUTE FUNCTION public.boom()',
		# no lock on the table
		sprintf($function, 'RETURN ' . ($when eq 'DELETE' ? 'OLD' : 'NEW')));
}

# name => [fault, cure]; {} stands for the database
my %setting = map { ($_->[0] => ["ALTER DATABASE \"{}\" SET $_->[1]", q{ALTER DATABASE "{}" RESET ALL}]) }
	[ s_authorization => 'session_authorization = owner' ], [ s_role => 'role = owner' ], [ s_path => 'search_path = public' ],
	[ s_timeout => 'statement_timeout = 1' ], [ s_readonly => 'default_transaction_read_only = on' ], [ s_isolation => 'default_transaction_isolation = serializable' ];
my %fault = (
	column => [ 'ALTER TABLE line_notify.outbox RENAME due_at TO due', 'ALTER TABLE line_notify.outbox RENAME due TO due_at' ],
	dropped => [ 'ALTER TABLE line_notify.webhook_event DROP COLUMN attempt', 'ALTER TABLE line_notify.webhook_event ADD attempt integer' ],
	function => [ 'ALTER FUNCTION line_notify._take_home() RENAME TO gone', 'ALTER FUNCTION line_notify.gone() RENAME TO _take_home' ],
	table => [ 'ALTER TABLE line_notify.history RENAME TO gone', 'ALTER TABLE line_notify.gone RENAME TO history' ],
	schema => [ 'ALTER SCHEMA line_notify RENAME TO gone', 'ALTER SCHEMA gone RENAME TO line_notify' ],
	version => [ "UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'line_notify'", "UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'line_notify'" ],
	privileges => [ 'REVOKE ALL ON ALL TABLES IN SCHEMA line_notify FROM dba; ALTER ROLE dba NOSUPERUSER', 'ALTER ROLE dba SUPERUSER' ],
	channel => [ raises('UPDATE', 'channel', '23514') ],
	endpoint => [ raises('INSERT', 'partial_pause', '23514') ],
	map { my $n = lc $_; ("history_$n" => [ raises('INSERT', 'history', $_) ], "in_flight_$n" => [ raises('INSERT', 'in_flight', $_) ]) }
		qw(42501 40001 57014 XX000 42P01 23514));
$fault{outbox_42501} = [ raises('DELETE', 'outbox', '42501') ];
$fault{deferred} = [ raises('INSERT', 'history', '42501', 1) ];
my %all = (%setting, %fault);
my @all = sort keys %all;

# ---- plant ----------------------------------------------------------------
sub as { my ($db, $sql, $role) = @_; $node->safe_psql($db, $sql =~ s/\{\}/$db/gr, extra_params => [ '-U', $role // 'postgres' ]); return }
for my $db (@all)
{
	$node->safe_psql('postgres', qq{CREATE DATABASE "$db"});
	as($db, 'CREATE EXTENSION line_notify', $db eq 'privileges' ? 'dba' : 'postgres');
	as($db, sprintf q{SELECT line_notify.create_channel(n, api_base => '%s', line_channel_id => '%s') FROM unnest('{shop,stands}'::text[]) n;
		SELECT line_notify.set_credential('shop', 'access_token', '%s'); SELECT line_notify.pause('stands')}, $sim->url, LineNotify::Sim::CHANNEL(), $sim->token);
}
# the connections of this test are no part of it
$ENV{PGOPTIONS} = join ' ', map { "-c $_" } qw(role=none default_transaction_read_only=off statement_timeout=0), 'default_transaction_isolation=read\\ committed';
for my $db (@all)
{
	as($db, $node->insert_sql(3, set => { channel => "'shop'" }));
}
for my $db (@all)
{
	$node->poll_query_until($db, "SELECT count(*) = 3 FROM line_notify.notifications WHERE state = 'accepted'") or die "$db sends nothing";
}
$sim->script({ match => { path => 'send', body => 'unauthorized' }, answer => 401 }, { match => { path => 'send', body => 'forbidden' }, answer => 403 });
sub work
{
	my ($db) = @_;
	# due; expiring; events.  LINE stops a channel, or an endpoint of it
	my $says = { channel => 'unauthorized', endpoint => 'forbidden' }->{$db} // '1234';
	as($db, $node->insert_sql(20, first => 100, set => { channel => "'shop'", send_after => "clock_timestamp() + interval '1 s'" }) =~ s/"1234"/"$says"/r . ';'
		. $node->insert_sql(20, first => 200, set => { channel => "'stands'", expires_at => "clock_timestamp() + interval '1 s'" }) . ';'
		. "INSERT INTO line_notify.unblock (channel) VALUES ('shop');"
		. "INSERT INTO line_notify.webhook_event (channel, event_id, type, message_id, attempt, token, event_at)
			SELECT 'shop', 'e' || h.id, 'delivery', h.id, 1, h.token, now() FROM line_notify.history h WHERE h.channel = 'shop';"
		. 'SELECT line_notify._wake()');
	return;
}
for my $db (@all)
{
	if ($setting{$db})
	{
		# they are those of the next process
		as($db, $all{$db}[0]);
		my $pid = $node->worker_pid($db);
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
		$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die;
	}
	work($db);
	as($db, $all{$db}[0]) if !$setting{$db};
}

# ---- five seconds of it -----------------------------------------------------
sub tries { my ($db) = @_; return $node->safe_psql($db, 'SELECT last_value FROM public.tries') }
my %tries = map { $_ => -tries($_) } grep { $all{$_}[0] =~ /public\.tries/ } @all;
my $now = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
my $offset = -s $node->logfile;
ok($node->poll_query_until('postgres', "SELECT clock_timestamp() > '$now'::timestamptz + interval '5 s'"), 'five seconds pass');
my $log = substr(slurp_file($node->logfile), $offset);
$tries{$_} += tries($_) for keys %tries;
my %bytes;
my $pid = 0;
for my $line (split /^/, $log) { $pid = $1 if $line =~ /^[\d: .-]+ \w+ \[(\d+)\] /; $bytes{$pid} += length $line }
my %name = map { split /\|/ } split /\n/, $node->safe_psql('postgres', "SELECT pid, datname FROM pg_stat_activity WHERE backend_type = 'line_notify worker'");
my @worst = sort { $bytes{$b} <=> $bytes{$a} } keys %bytes;
cmp_ok($bytes{ $worst[0] // 0 } // 0, '<', 60_000, 'no worker writes more than 60 kB')
  or diag join "\n", map { ($name{$_} // $_) . ": $bytes{$_}" } grep { $bytes{$_} >= 60_000 } @worst;
cmp_ok(length $log, '<', 10_000 * @all, 'nor all together more than 10 kB each');
note sprintf '%d bytes of %d databases; most: %s', length $log, scalar(@all), join ', ', map { ($name{$_} // $_) . " $bytes{$_}" } grep { defined } @worst[0 .. 7];

note 'tries: ' . join ', ', map { "$_ $tries{$_}" } sort keys %tries;
# where no row is at fault, what fails is tried again after twice as long each time
for my $db (grep { /^(history|in_flight)_(40001|57014|xx000|42p01)$/ } sort keys %tries)
{
	cmp_ok($tries{$db}, '<', 20, "$db: backs off");
}

# ---- settings are no fault; the others are gone, and work is done -----------
for my $db (@all)
{
	as($db, $all{$db}[1]) if !$setting{$db};
	if ($db eq 'channel' || $db eq 'endpoint')
	{
		ok($node->poll_query_until($db, "SELECT paused FROM line_notify.channels WHERE name = 'shop'"), "$db: paused, when the table takes it");
		next;
	}
	# messages that could not be claimed one by one are in quarantine, or on their way
	as($db, 'SELECT line_notify._wake()');
	ok($node->poll_query_until($db, q{WITH free AS (UPDATE line_notify.outbox SET due_at = clock_timestamp() WHERE error LIKE 'in quarantine%' AND due_at > clock_timestamp() RETURNING line_notify._wake())
		SELECT (SELECT count(*) FROM free) = 0 AND count(*) FILTER (WHERE state IN ('accepted', 'delivered')) = 23 AND count(*) FILTER (WHERE state = 'expired') = 20 FROM line_notify.notifications}),
		"$db: " . ($setting{$db} ? 'messages go' : 'gone, messages go on'))
	  or diag $node->safe_psql($db, 'SELECT state, error, count(*) FROM line_notify.notifications GROUP BY 1, 2; SELECT * FROM line_notify.workers WHERE database = current_database()');
}
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
