# What strangers can do to the receiver: requests that are no HTTP, that come a
# byte at a time, too many, too large, forged; each is answered or dropped, none
# with a traceback, within bounded memory, and a genuine call gets through
# meanwhile.  With a secret of its own the receiver keeps forged calls out of the
# database and of the spool.  A stop answers what has begun.  TAP: a process.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_base64);
use File::Basename qw(dirname);
use File::Spec;
use IO::Select;
use IO::Socket::INET;
use IPC::Run;
use Test::More;
use LineNotify::Sim;
use LineNotify::Node;
use PostgreSQL::Test::Utils;

plan skip_all => 'python3-psycopg2 is not installed' if system('python3 -c "import psycopg2" 2>/dev/null') != 0;

my $root = $ENV{LN_SRC} // File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $program = $ENV{LN_RECEIVER} // "$root/receiver/line_notify_receiver.py";
my $dir = PostgreSQL::Test::Utils::tempdir();
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
$node->safe_psql('postgres', "CREATE ROLE line_webhook LOGIN; SELECT line_notify.grant_webhook('line_webhook')");
my $dsn = $node->connstr('postgres') . ' user=line_webhook';
my $secret = LineNotify::Sim::SECRET();

my $run;			# the receiver
my $port;
my $number = 0;
sub starts
{
	my (@options) = @_;
	$number++;
	$port = PostgreSQL::Test::Cluster::get_free_port();
	my $out = '';
	$run = {
		err => "$dir/err$number",
		out => \$out,
		spool => "$dir/spool$number",
	};
	$run->{h} = IPC::Run::start([ 'python3', $program, '--listen', "127.0.0.1:$port", '--spool', $run->{spool}, '--retry', '0.3', @options ],
		'>', \$out, '2>', $run->{err});
	$run->{h}->pump until $out =~ /ready/ || !$run->{h}->pumpable;
	$run->{pid} = $run->{h}{KIDS}[0]{PID};
	return;
}
# ends; what it wrote to stderr
sub ends
{
	my ($signal) = @_;
	$run->{h}->signal($signal // 'TERM');
	eval { $run->{h}->finish };
	return slurp_file($run->{err});
}
sub signature { return hmac_sha256_base64($_[0], $_[1] // $secret) . '='; }
sub connection
{
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) // die "no connection: $!";
}
# what comes back until the end of the connection, or an answer is complete
sub answer
{
	my ($s) = @_;
	my $all = '';
	while (IO::Select->new($s)->can_read(20))
	{
		sysread($s, my $part, 65536) or return $all;
		$all .= $part;
		return $all if $all =~ /\r\n\r\n/ && $all !~ /^HTTP\S+ 100/ && $all !~ /Content-Length: [1-9]/;
	}
	return "$all (no end)";
}
sub says
{
	my ($text) = @_;
	my $s = connection();
	local $SIG{PIPE} = 'IGNORE';
	syswrite $s, $text;
	shutdown $s, 1;
	my $got = answer($s);
	return $got =~ m{^HTTP/1\.1 (\d+)} ? $1 : $got eq '' ? 'closed' : $got;
}
sub request
{
	my ($channel, $body, $signature, $more) = @_;
	return "POST /line/$channel HTTP/1.1\r\nHost: x\r\nX-Line-Signature: $signature\r\n"
	  . ($more // '') . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
}
sub posts { return says(request(@_)); }
sub events { return '{"destination":"U1","events":[' . join(',', map { qq({"type":"follow","webhookEventId":"$_","timestamp":1700000000000}) } @_) . ']}'; }
my $empty = events();
sub spooled { my @f = glob "$run->{spool}/*.call"; return scalar @f; }

# --- no HTTP, or not ours
starts('--dsn', $dsn, '--receive-timeout', '3');
is(posts('shop', $empty, signature($empty)), 200, 'a genuine call');
my %odd = (
	'NUL in the signature' => [ request('shop', $empty, "a\0b"), 401 ],
	'control characters in the signature' => [ request('shop', $empty, "\x01\x7f\xff" . 'A' x 40 . '='), 401 ],
	'a signature of 10,000 characters' => [ request('shop', $empty, 'A' x 10000), 401 ],
	'two signatures' => [ request('shop', $empty, signature($empty), "X-Line-Signature: x\r\n"), 400 ],
	'a body that GET has not' => [ "GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400 ],
	'NUL in the path' => [ request("sh\0op", $empty, signature($empty)), 400 ],
	'UTF-8 in the path' => [ request("\xe5\xba\x97", $empty, signature($empty)), 400 ],
	(map { ("Content-Length: " . substr($_->[0], 0, 12) => [ "POST /line/shop HTTP/1.1\r\nContent-Length: $_->[0]\r\n\r\n", $_->[1] ]) }
		  [ '9' x 5000, 413 ], [ '9' x 4301, 413 ], [ '4194305', 413 ], [ '0' x 5000, 413 ], [ '-1', 411 ], [ '+5', 411 ], [ '1_0', 411 ],
		[ '', 411 ], [ '0x10', 411 ], [ "\xd9\xa3", 411 ]),
	'two lengths' => [ request('shop', $empty, signature($empty), "Content-Length: 5\r\n"), 400 ],
	'chunks' => [ request('shop', $empty, signature($empty), "Transfer-Encoding: chunked\r\n"), 411 ],
	'a folded header' => [ request('shop', $empty, signature($empty), "A: b\r\n c\r\n"), 400 ],
	'a header without colon' => [ request('shop', $empty, signature($empty), "nonsense\r\n"), 400 ],
	'headers of 100 kB' => [ request('shop', $empty, signature($empty), "A: b\r\n" x 16000), 431 ],
	'one header of 100 kB' => [ "POST /line/shop HTTP/1.1\r\nA: " . 'b' x 100000, 431 ],
	'HTTP/2' => [ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400 ],
	'TLS' => [ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400 ],
	'nothing' => [ '', 'closed' ],
	'half a head' => [ "POST /line/shop HT", 'closed' ],
	'half a body' => [ substr(request('shop', $empty, signature($empty)), 0, -3), 'closed' ],
	'GET' => [ "GET /line/shop HTTP/1.1\r\n\r\n", 405 ],
	'DELETE' => [ "DELETE /line/shop HTTP/1.1\r\n\r\n", 405 ],
	'no path of ours' => [ request('../x y', $empty, signature($empty)), 400 ],
	'a body with NUL' => [ request('shop', "\0", signature("\0")), 400 ],
	'a body that is no JSON' => [ request('shop', '[[', signature('[[')), 400 ],
	'no such channel' => [ request('nil', $empty, signature($empty)), 404 ],
	'Expect' => [ request('shop', $empty, signature($empty), "Expect: 100-continue\r\n"), 100 ],
);
is(says($odd{$_}[0]), $odd{$_}[1], $_) for sort keys %odd;

# --- slowly: however often a byte comes, the time for all of them is three seconds,
# which those above need on no machine; ten seconds of them
sub drips
{
	my ($begin, @bytes) = @_;
	my $slow = connection();
	syswrite $slow, "POST /line/shop HTTP/1.1\r\n$begin";
	my $taken = 0;
	for my $c (@bytes)
	{
		last if IO::Select->new($slow)->can_read(0.05);
		last unless syswrite $slow, $c;
		$taken++;
	}
	return $taken < @bytes ? answer($slow) : 'all were waited for';
}
like(drips('', split //, 'X-Slow: ' . 'a' x 200), qr/^HTTP\S+ 408/, 'a head that comes a byte at a time is not waited for');
like(drips("Content-Length: 1000000\r\n\r\n", ('a') x 200), qr/^HTTP\S+ 408/, 'nor is such a body');

# --- two requests on one connection
my $two = connection();
syswrite $two, request('shop', $empty, signature($empty)) for 1 .. 2;
my $got = '';
while (IO::Select->new($two)->can_read(20))
{
	sysread($two, $got, 65536, length $got) or last;
	last if (() = $got =~ m{HTTP/1\.1 200}g) == 2;
}
is(scalar(() = $got =~ m{HTTP/1\.1 200}g), 2, 'requests one after the other on a connection');
is(posts('shop', $empty, signature($empty)), 200, 'and it lives');
unlike(ends(), qr/Traceback/, 'without a traceback');

# --- memory: a hundred that lack one byte of 4 MB
starts('--dsn', $dsn, '--receive-timeout', '60');
local $SIG{PIPE} = 'IGNORE';
my $most = 4 * 1024 * 1024;
sub descriptors { my @fds = glob "/proc/$run->{pid}/fd/*"; return scalar @fds }
my $at_rest = descriptors();
my @heavy = map { connection() } 1 .. 100;
my %left = map { $_ => "POST /line/shop HTTP/1.1\r\nX-Line-Signature: " . signature('x') . "\r\nContent-Length: $most\r\n\r\n" . 'x' x ($most - 1) } @heavy;
my %by = map { $_ => $_ } @heavy;
$_->blocking(0) for @heavy;
my $stalled = 0;
while (%left && $stalled < 20)
{
	my @can = IO::Select->new(map { $by{$_} } keys %left)->can_write(0.1);
	my $moved = 0;
	for my $s (@can)
	{
		my $n = syswrite $s, $left{$s}, 262144;
		if (!defined $n) { delete $left{$s} unless $!{EAGAIN}; next }
		$moved += $n;
		substr($left{$s}, 0, $n) = '';
		delete $left{$s} if $left{$s} eq '';
	}
	$stalled = $moved ? 0 : $stalled + 1;
}
is(posts('shop', $empty, signature($empty)), 200, 'among a hundred bodies that do not end, a genuine call is taken');
my ($peak) = slurp_file("/proc/$run->{pid}/status") =~ /VmHWM:\s+(\d+) kB/;
cmp_ok($peak, '<', 128 * 1024, "within $peak kB");
close $_ for @heavy;
@heavy = %by = %left = ();
# what was kept for these is free when they are gone
ok($sim->wait_until(sub { descriptors() <= $at_rest + 1 }, 20), 'they are gone');
# many of the largest that are genuine: all are taken, or LINE is told to come again
my $big = '{"events":[],"x":"' . 'y' x ($most - 20) . '"}';
is(length $big, $most, 'a body of the largest size');
my $big_call = request('shop', $big, signature($big));
my @many = map { connection() } 1 .. 30;
my %pending = map { $_ => [ $_, $big_call ] } @many;
$_->blocking(0) for @many;
while (%pending)
{
	for my $s (IO::Select->new(map { $_->[0] } values %pending)->can_write(20))
	{
		my $n = syswrite $s, $pending{$s}[1], 262144;
		if (!defined $n) { delete $pending{$s} unless $!{EAGAIN}; next }
		substr($pending{$s}[1], 0, $n) = '';
		delete $pending{$s} if $pending{$s}[1] eq '';
	}
}
my %got;
$got{ answer($_) =~ m{^HTTP/1\.1 (\d+)} ? $1 : 'none' }++ for @many;
is(($got{200} // 0) + ($got{503} // 0) + ($got{none} // 0), 30, 'thirty of those at a time: ' . join(', ', map { "$got{$_} times $_" } sort keys %got));
cmp_ok($got{200} // 0, '>=', 6, 'as many as the memory is for are taken');
($peak) = slurp_file("/proc/$run->{pid}/status") =~ /VmHWM:\s+(\d+) kB/;
# the service may have 256 MB
cmp_ok($peak, '<', 200 * 1024, "within $peak kB");
unlike(ends(), qr/Traceback/, 'without a traceback');

# --- connections
starts('--dsn', $dsn, '--clients', '20');
my @idle = map { connection() } 1 .. 60;
is(posts('shop', $empty, signature($empty)), 200, 'among sixty idle connections, a genuine call is taken');
my $open = descriptors();
cmp_ok($open, '<', 45, "$open descriptors");
my @busy;
my $began = time();
my $refused = 0;
for (1 .. 100)
{
	push @busy, connection();
	syswrite $busy[-1], "POST /line/shop HTTP/1.1\r\nContent-Length: 10\r\n\r\n";
	$refused = posts('shop', $empty, signature($empty)) eq '503' ? $refused + 1 : 0;
	last if $refused == 10;
}
is($refused, 10, 'among twenty that are busy, it has to come again');
close $_ for @busy, @idle;
ok($sim->wait_until(sub { posts('shop', $empty, signature($empty)) eq '200' }, 20), 'when they have gone, it is taken');
my $said = ends();
unlike($said, qr/Traceback/, 'without a traceback');
my $lines = () = $said =~ /20 connections: no more are taken/g;
# one in ten seconds
my $most_lines = 2 + int((time() - $began) / 10);
ok($lines >= 1 && $lines <= $most_lines, "the log does not have a line for each of them: $lines of $most_lines");

# --- a secret of its own
my $file = "$dir/shop.secret";
append_to_file($file, "$secret\n");
chmod 0600, $file;
starts('--dsn', $dsn, '--secret', "shop=$file", '--unverified-limit', 40960);
$node->safe_psql('postgres', "SELECT line_notify.create_channel('open'); SELECT line_notify.set_credential('open', 'channel_secret', '$secret')");
is(posts('shop', $empty, signature($empty)), 200, 'a genuine call');
is(posts('open', $empty, signature($empty)), 200, 'one for a channel whose secret only the database knows');
$node->stop('fast');
is(posts('shop', $empty, signature($empty, 'guess')), 401, 'without the database, a forged call is refused nevertheless');
is(spooled(), 0, 'and takes no room');
my %forged;
$forged{ posts('open', $empty, signature($empty, $_)) }++ for 1 .. 15;
is_deeply(\%forged, { 200 => 10, 503 => 5 }, 'what nobody can verify has a small part of the spool');
is(posts('shop', events($_), signature(events($_))), 200, 'the genuine has the rest') for 'e1' .. 'e5';
is(spooled(), 15, 'and is spooled');
my @modes = map { sprintf '%o', (stat)[2] & 07777 } glob "$run->{spool}/*.call";
is_deeply([ grep { $_ ne '600' } @modes ], [], 'for no eyes but its own');

# rotation: the file is read again
unlink $file;
append_to_file($file, "new-secret\n$secret\n");
is(posts('shop', $empty, signature($empty, 'new-secret')), 200, 'the current secret of two');
is(posts('shop', $empty, signature($empty)), 200, 'and the previous one');
unlink $file;
append_to_file($file, "new-secret\n");
is(posts('shop', $empty, signature($empty)), 401, 'which ends with its line');
unlink $file;
is(posts('shop', $empty, signature($empty, 'new-secret')), 200, 'a file that is gone does not end the current one');
is(says("HEAD /health HTTP/1.1\r\n\r\n"), 200, 'HEAD /health: calls can be taken');
$node->start;
ok($sim->wait_until(sub { spooled() == 2 }, 20), 'those of a secret that the database does not have yet wait for it');
ok($node->poll_query_until('postgres', "SELECT sum(messages) = 5 FROM line_notify.daily_totals WHERE outcome = 'follow'"), 'the genuine ones are in');
$node->safe_psql('postgres', "SELECT line_notify.set_credential('shop', 'channel_secret', 'new-secret')");
ok($sim->wait_until(sub { spooled() == 0 }, 20), 'and are handed in with it');
my $err = ends();
unlike($err, qr/Traceback/, 'without a traceback');
unlike($err, qr/\Q$secret\E|new-secret/, 'or a secret');
$node->safe_psql('postgres', "SELECT line_notify.set_credential('shop', 'channel_secret', '$secret')");

# --- /health
starts('--dsn', $dsn, '--spool-limit', 8192);
my $s = connection();
syswrite $s, "GET /health HTTP/1.1\r\n\r\n";
like(join('', map { sysread($s, my $part, 4096); $part } 1), qr{^HTTP/1\.1 200 OK\r\n.*databases 1 of 1, spool 0 bytes}s, 'GET /health');
$node->stop('fast');
is(posts('shop', $empty, signature($empty)), $_, 'the spool takes two') for 200, 200, 503;
is(says("HEAD /health HTTP/1.0\r\n\r\n"), 503, 'HEAD /health: neither database nor spool');
$node->start;
ok($sim->wait_until(sub { says("GET /health HTTP/1.1\r\n\r\n") eq '200' }, 20), 'GET /health again');

# --- a stop answers what has begun
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK line_notify.channel');
my $waits = connection();
my $half = connection();
my $idle = connection();
my $rest = request('shop', events('half'), signature(events('half')));
# read before the other one, which is seen to wait
syswrite $half, substr($rest, 0, 60);
syswrite $waits, request('shop', events('last'), signature(events('last')));
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'line_notify receiver' AND wait_event_type = 'Lock'") or die;
$run->{h}->signal('TERM');
is(answer($idle), '', 'SIGTERM: an idle connection is closed');
is(IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port), undef, 'no new one is taken');
syswrite $half, substr($rest, 60);
like(answer($waits), qr{^HTTP/1\.1 200.*Connection: close}s, 'a call that waits for the database is answered');
like(answer($half), qr{^HTTP/1\.1 200}, 'and one that was on its way');
$run->{h}->finish;
is($run->{h}->result(0), 0, 'then it ends, content');
is(spooled(), 2, 'with both on disk');
$lock->query_safe('ROLLBACK');
$lock->quit;
my $kept = $run->{spool};
starts('--dsn', $dsn, '--spool', $kept);
$run->{spool} = $kept;
ok($sim->wait_until(sub { spooled() == 0 }, 20), 'the next one hands them in');
unlike(ends(), qr/Traceback/, 'without a traceback');

# --- a database that takes connections and says nothing: who found out, did so for all
my $silent = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1') or die;
my @taken;
sub taken
{
	push @taken, scalar $silent->accept while IO::Select->new($silent)->can_read(0);
	return scalar @taken;
}
starts('--dsn', 'host=127.0.0.1 dbname=postgres user=line_webhook port=' . $silent->sockport, '--retry', 600);
is(posts('shop', $empty, signature($empty)), 200, 'a database that does not answer: spooled');
ok($sim->wait_until(sub {
	my $asks = connection();
	syswrite $asks, "GET /health HTTP/1.1\r\n\r\n";
	sysread $asks, my $health, 4096;
	$health =~ /databases 0 of 1/;
}, 20), 'and it is known to be away');
is(taken(), 1, 'after one connection');
is(posts('shop', $empty, signature($empty)), 200, 'spooled, too') for 1 .. 5;
is(taken(), 1, 'nobody waits for it again');
unlike(ends(), qr/Traceback/, 'without a traceback');

# --- who reads no answers does not keep his place
starts('--dsn', $dsn, '--receive-timeout', '1');
{
	local $SIG{PIPE} = 'IGNORE';
	my $deaf = connection();
	$deaf->blocking(0);
	my $asks = "GET /health HTTP/1.1\r\n\r\n" x 1000;
	ok($sim->wait_until(sub {
		my $sent = 1;
		$sent = syswrite $deaf, $asks while $sent;
		!defined $sent && !$!{EAGAIN};
	}, 20), 'who asks and never reads is dropped') or diag("$!");
}
unlike(ends(), qr/Traceback/, 'without a traceback');

$node->stop;
$sim->stop;
done_testing();
