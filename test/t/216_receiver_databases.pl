# A receiver for two databases: what one of them refuses, or does not answer, the
# other has, and each has it once.  TAP: real servers and processes.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use IO::Socket::INET;
use IPC::Run;
use Test::More;
use LineNotify::Sim;
use LineNotify::Node;
use PostgreSQL::Test::Utils;

plan skip_all => 'python3-psycopg2 is not installed' if system('python3 -c "import psycopg2" 2>/dev/null') != 0;

my $root = $ENV{LN_SRC} // File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
my @dbs = ('postgres', 'other');
$node->safe_psql('postgres', 'CREATE DATABASE other; CREATE ROLE line_webhook LOGIN');
for (@dbs)
{
	$node->install($_, $sim);
	$node->safe_psql($_, "SELECT line_notify.grant_webhook('line_webhook')");
}
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $receiver;

sub receive
{
	my (@named) = @_;
	$receiver = IPC::Run::start([ 'python3', "$root/receiver/line_notify_receiver.py", '--listen', "127.0.0.1:$port", '--spool', "$dir/spool", '--retry', '0.2', '--timeout', '5000',
		map { ('--dsn', $node->connstr($_) . ' user=line_webhook') } @named ], '>', \my $out, '2>>', "$dir/receiver.err");
	$sim->wait_until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }) or die 'no receiver';
	return;
}

sub stop_receiver
{
	$receiver->signal('TERM');
	$receiver->finish;
	return;
}

my $n = 0;

# so many events of messages that are in neither database, a call each, at a time;
# what was answered
sub calls
{
	my ($many, $meanwhile) = @_;
	my @sockets;
	for (1 .. $many)
	{
		my $event = { type => 'delivery', webhookEventId => sprintf('01HEV%021d', ++$n), timestamp => time() * 1000,
			delivery => { data => sprintf('ln1-%d-1-0000000000000', 900000000 + $n) } };
		my ($body, $signature) = @{ $sim->emit([$event]) };
		my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die $!;
		print $socket "POST /line/shop HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-line-signature: $signature\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
		$socket->flush;
		push @sockets, $socket;
	}
	$meanwhile->() if $meanwhile;
	return join ' ', map { my $line = readline $_; $line =~ /^HTTP\S+ (\d+)/ ? $1 : '-' } @sockets;
}

sub spooled { my @f = glob "$dir/spool/*.call"; return scalar @f; }

sub has
{
	my ($db, $what, $again) = @_;
	my $sum = "SELECT coalesce(sum(n), 0) FROM line_notify.daily_count WHERE outcome = 'elsewhere'";
	ok($node->poll_query_until($db, "SELECT ($sum) >= $n AND NOT EXISTS (SELECT FROM line_notify.webhook_event)"), "$what: $db has them");
	is($node->safe_psql($db, $sum), $n, 'once') unless $again;
	return;
}

sub secret
{
	my ($value) = @_;
	$node->safe_psql('other', "SELECT line_notify.set_credential('shop', 'channel_secret', '$value'); DELETE FROM line_notify.credential WHERE kind = 'previous_channel_secret'");
	return;
}

# one has another secret, and is named first, or last; also where all were away
for my $order ([ 'other', 'postgres' ], [ 'postgres', 'other' ])
{
	receive(@$order);
	secret('wrong');
	is(calls(2), '200 200', "@$order: other has the wrong secret");
	has('postgres', 'the wrong secret');
	is(spooled(), 2, 'the calls are kept for it');
	secret(LineNotify::Sim::SECRET());
	has('other', 'the right secret');
	ok($sim->wait_until(sub { spooled() == 0 }), 'and the spool is empty');
	has('postgres', 'and nothing comes again');

	$node->safe_psql('postgres', "REVOKE CONNECT ON DATABASE $_ FROM PUBLIC") for @dbs;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'line_webhook'");
	secret('wrong');
	is(calls(2), '200 200', 'both are away');
	$node->safe_psql('postgres', "GRANT CONNECT ON DATABASE $_ TO PUBLIC") for @dbs;
	has('postgres', 'both are back');
	is(spooled(), 2, 'what one took is kept for the other');
	secret(LineNotify::Sim::SECRET());
	has('other', 'the right secret');
	ok($sim->wait_until(sub { spooled() == 0 }), 'and the spool is empty');
	stop_receiver();
}

# one stands still, with all its connections: the other hears what it missed
receive('other', 'postgres');
my $lock = $node->background_psql('other');
my $backends = "FROM pg_stat_activity WHERE usename = 'line_webhook' AND datname = 'other'";
$lock->query_safe('BEGIN; LOCK TABLE line_notify.webhook_event IN ACCESS EXCLUSIVE MODE');
is(calls(4, sub {
	$node->poll_query_until('postgres', "SELECT count(*) >= 4 $backends") or die 'not enough connections';
	$lock->query_safe('COMMIT');
}), '200 200 200 200', 'several connections');
$lock->quit;
has($_, 'all is well') for @dbs;
my @frozen = split /\n/, $node->safe_psql('postgres', "SELECT pid $backends");
kill 'STOP', @frozen;
is(calls(1), '200', 'other stands still');
$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'line_webhook' AND datname = 'postgres'");
is(calls(1), '200', 'postgres is away for a moment');
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC');
has('postgres', 'it is back, and other is not');
kill 'CONT', @frozen;
# by the calls that it had begun, and from the spool
has('other', 'it goes on', 1);
ok($sim->wait_until(sub { spooled() == 0 }), 'and the spool is empty');
stop_receiver();
unlike(slurp_file("$dir/receiver.err"), qr/Traceback/, 'no traceback');

$node->stop;
$sim->stop;
done_testing();
