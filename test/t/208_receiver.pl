# The documented receiver, end to end: LINE (simulated) posts signed events over
# TLS to nginx, nginx to the receiver, the receiver to the database; while the
# primary is away they are spooled, answered within LINE's two seconds, and
# handed in later.  TAP: real servers of Debian.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use IO::Socket::INET;
use IPC::Run;
use Test::More;
use Time::HiRes ();
use LineNotify::Sim;
use LineNotify::Node;
use PostgreSQL::Test::Utils;

my ($nginx) = grep { -x } '/usr/sbin/nginx', '/usr/bin/nginx';
plan skip_all => 'nginx is not installed' unless $nginx;
plan skip_all => 'python3-psycopg2 is not installed' if system('python3 -c "import psycopg2" 2>/dev/null') != 0;

my $root = $ENV{LN_SRC} // File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
$node->safe_psql('postgres', "CREATE ROLE line_webhook LOGIN; SELECT line_notify.grant_webhook('line_webhook')");

sub becomes_open
{
	my $port = shift;
	return $sim->wait_until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) });
}
my ($port, $tls_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
my @receiver = ('python3', "$root/receiver/line_notify_receiver.py", '--listen', "127.0.0.1:$port", '--spool', "$dir/spool", '--retry', '0.5',
	'--dsn', $node->connstr('postgres') . ' user=line_webhook');
my ($receiver, $out, $err) = (undef, '', '');
sub receive
{
	my ($name, @more) = @_;
	$receiver = IPC::Run::start([ @receiver, @more ], '>', \$out, '2>>', "$dir/receiver.err");
	ok(becomes_open($port), $name);
	return;
}
sub stop_receiver
{
	$receiver->signal('TERM');
	$receiver->finish;
	is($receiver->result(0), 0, 'the receiver ends when it is told');
	return;
}
# Every time is ten times what it is with LINE, who waits two seconds: so a machine
# that stands still for some seconds is none of the receiver's faults.
my $patience = 20;
# whoever looks up a channel or a secret has the time that LINE gives
my @patient = ('--timeout', 900 * $patience);
receive('the receiver listens', @patient);

# our nginx.conf as it is, with names and ports of the test
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost "
	. "-keyout $dir/key.pem -out $dir/cert.pem 2>/dev/null") == 0 or die;
my $conf = PostgreSQL::Test::Utils::slurp_file("$root/receiver/nginx.conf");
$conf =~ s/127\.0\.0\.1:8040/127.0.0.1:$port/;
$conf =~ s/listen 443 ssl/listen 127.0.0.1:$tls_port ssl/;
$conf =~ s/notify\.example\.jp;/localhost;/;
# so that a slow machine, too, can ask for more than that
$conf =~ s/rate=500r/rate=50r/ or die;
$conf =~ s/proxy_read_timeout 2s/proxy_read_timeout ${patience}s/ or die;
$conf =~ s/proxy_connect_timeout 500ms/proxy_connect_timeout 5s/ or die;
$conf =~ s{/etc/letsencrypt\S+/fullchain\.pem}{$dir/cert.pem};
$conf =~ s{/etc/letsencrypt\S+/privkey\.pem}{$dir/key.pem};
PostgreSQL::Test::Utils::append_to_file("$dir/nginx.conf", qq{
daemon off; master_process off; pid $dir/nginx.pid; error_log $dir/nginx.log;
events { worker_connections 512; }
http {
access_log $dir/access.log;
client_body_temp_path $dir; proxy_temp_path $dir; fastcgi_temp_path $dir; uwsgi_temp_path $dir; scgi_temp_path $dir;
$conf}
});
command_ok([ $nginx, '-t', '-q', '-p', $dir, '-e', "$dir/nginx.log", '-c', "$dir/nginx.conf" ], 'nginx -t');
my $server = IPC::Run::start([ $nginx, '-p', $dir, '-e', "$dir/nginx.log", '-c', "$dir/nginx.conf" ], '>', '/dev/null', '2>', "$dir/nginx.err");
ok(becomes_open($tls_port), 'nginx listens') or diag(PostgreSQL::Test::Utils::slurp_file("$dir/nginx.err"));

my %to_nginx = (mode => 'post', url => "https://localhost:$tls_port/line/shop", ca_file => "$dir/cert.pem", timeout => $patience);
$sim->config(webhook => { %to_nginx, redeliveries => 3, redelivery_wait => 0.2, batch => 10 });
$node->insert('postgres', 25);
$node->wait_states('postgres', delivered => 25);
ok(1, 'accepted, told by webhook through nginx and receiver, delivered');
# events that were POSTed and taken; the simulator bundles them as they come
sub posted { my $n = 0; $n += $_->{events} for grep { $_->{result} eq 'ok' } $sim->webhook_posts; return $n }
ok($sim->wait_until(sub { posted() >= 25 }), 'the simulator has each answer');
is((grep { $_->{result} ne 'ok' } $sim->webhook_posts), 0, 'every POST was answered in time');

# redelivered: harmless
my $once = posted();
my $again = $sim->redeliver;
cmp_ok($again, '>=', 25, 'all of it again');
$sim->wait_until(sub { posted() == $once + $again }) or die;
is($node->states('postgres')->{delivered}, 25, 'changes nothing');

# what is not LINE's is refused
sub post
{
	my ($path, $body, $signature) = @_;
	my $s = `curl -s -o /dev/null -w '%{http_code}' --cacert $dir/cert.pem -H 'x-line-signature: $signature' --data-binary '$body' https://localhost:$tls_port$path`;
	return $s;
}
my $empty = '{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}';
my $good = 'GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=';
is(post('/line/shop', $empty, $good), 200, 'LINE\'s "Verify" button');
is(post('/line/shop', "$empty ", $good), 401, 'a body that was changed');
is(post('/line/shop', $empty, ''), 401, 'no signature');
is(post('/line/nil', $empty, $good), 404, 'no such channel');
is(post('/line/shop/..', $empty, $good), 404, 'no such path');
sub status { return `curl -s -o /dev/null -w '%{http_code}' --cacert $dir/cert.pem @_`; }
is(status("https://localhost:$tls_port/health"), 200, 'a load balancer asks');
is(status("-I https://localhost:$tls_port/health"), 200, 'by HEAD, too');
is(status("https://localhost:$tls_port/line/shop"), 403, 'nothing but POST');
is(status("https://localhost:$tls_port/"), 404, 'nothing else');

# many at a time, while the database is busy: a few connections, an answer in time, nothing lost
stop_receiver();
receive('the receiver listens again', '--timeout', 250 * $patience);
my $lock = $node->background_psql('postgres');
$lock->query_safe('BEGIN; LOCK line_notify.channel');
my $curl = "curl -s -o /dev/null -w '%{http_code} %{time_pretransfer} %{time_starttransfer}\\n' --cacert $dir/cert.pem -H 'x-line-signature: $good' --data-binary '$empty' https://localhost:$tls_port/line/shop";
my $calls = IPC::Run::start([ 'sh', '-c', "for i in \$(seq 20); do $curl & done >$dir/answers; wait" ], '<', '/dev/null');
my $most = 0;
$sim->wait_until(
	sub {
		my $n = $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'line_notify receiver'");
		$most = $n if $n > $most;
		return -e "$dir/answers" && (() = PostgreSQL::Test::Utils::slurp_file("$dir/answers") =~ /\n/g) >= 20;
	}) or fail('the calls are answered');
IPC::Run::finish($calls);
my @answers = split /\n/, PostgreSQL::Test::Utils::slurp_file("$dir/answers");
# from the request to the answer: what this machine took to begin it is none of the receiver's
is(scalar(grep { my ($code, $from, $to) = split; $code == 200 && $to - $from < $patience } @answers), 20, 'twenty calls that the database cannot take now are answered in time') or diag("@answers");
ok($most >= 2 && $most <= 8, "over a few connections: $most");
$lock->query_safe('COMMIT');
$lock->quit;
ok($sim->wait_until(sub { my @f = glob "$dir/spool/*.call"; @f == 0 }), 'and are handed in later');

# the primary goes away: spooled, answered, handed in later
$sim->config(webhook => { mode => 'queue' });
$node->insert('postgres', 7, first => 101);
$node->wait_states('postgres', accepted => 7, delivered => 25);
$sim->wait_webhooks(7) or die;
$node->safe_psql('postgres', "SELECT line_notify.create_channel('dumb')");
$node->stop('fast');
my $before = $sim->webhook_posts;
$sim->config(webhook => {%to_nginx});
ok($sim->wait_until(sub { my @f = glob "$dir/spool/*.call"; @f >= 1 }), 'without the primary, events are spooled');
ok($sim->wait_until(sub { my @p = $sim->webhook_posts; @p > $before && $p[-1]{result} eq 'ok' }), 'and LINE is answered in time');
is(post('/line/shop', $empty, 'A' x 43 . '='), 200, 'forged ones too, for the time being');
# a file that was damaged, and a channel whose secret is missing, do not hold up the rest
PostgreSQL::Test::Utils::append_to_file("$dir/spool/1-000000000000000-1-000000.call", '{"channel": "shop", "bo');
is(post('/line/dumb', $empty, $good), 200, 'spooled for a channel');
is(post('/line/shop', $empty, $good), 200, 'and another one') for 1 .. 5;
$node->start;
$node->wait_states('postgres', delivered => 32);
ok(1, 'when it is back, they are handed in');
ok($sim->wait_until(sub { my @f = glob "$dir/spool/*.call"; @f == 1 }), 'the forged one is dropped, that of a channel without secret waits');
is(scalar(my @bad = glob "$dir/spool/*.bad"), 1, 'what is damaged is put aside');
$node->safe_psql('postgres', "SELECT line_notify.set_credential('dumb', 'channel_secret', '@{[ LineNotify::Sim::SECRET() ]}')");
ok($sim->wait_until(sub { my @f = glob "$dir/spool/*.call"; @f == 0 }), 'handed in when the secret is there');

# the role can do nothing else
my ($rc, $o, $e) = $node->psql('postgres', 'SELECT * FROM line_notify.history', extra_params => [ '-U', 'line_webhook' ]);
like($e, qr/permission denied/, 'the receiver\'s role sees no message');

# several databases send through the channel, which has one webhook
stop_receiver();
is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.health() WHERE reason LIKE '%not in this database'"), 0, 'so far nothing is elsewhere');
$node->safe_psql('postgres', "SELECT line_notify.drop_channel('dumb')");
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->install('other', $sim);
$node->safe_psql('other', "SELECT line_notify.grant_webhook('line_webhook')");
receive('a receiver for two databases', @patient, '--dsn', $node->connstr('other') . ' user=line_webhook');
$node->insert('other', 3, first => 1);
$node->insert('postgres', 2, first => 201);
$node->wait_states('other', delivered => 3);
$node->wait_states('postgres', delivered => 34);
ok(1, 'each hears what was delivered');
for (['other', 2], ['postgres', 3])
{
	ok($node->poll_query_until($_->[0], "SELECT count(*) = 1 FROM line_notify.health() WHERE severity = 'info' AND reason LIKE '$_->[1] delivery events % not in this database'"),
		'and says how many were not its own');
}
# one of them is away
$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE other FROM PUBLIC');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'line_webhook' AND datname = 'other'");
$node->insert('postgres', 2, first => 301);
$node->insert('other', 2, first => 301);
$node->wait_states('postgres', delivered => 36);
ok($sim->wait_until(sub { my @f = glob "$dir/spool/*.call"; @f >= 1 }), 'what it missed is in the spool');
$node->wait_states('other', accepted => 2, delivered => 3);
pass('its own messages wait');
is(post('/line/shop', $empty, 'A' x 43 . '='), 401, 'what one database knows to be forged is refused');
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE other TO PUBLIC');
$node->wait_states('other', delivered => 5);
ok($sim->wait_until(sub { my @f = glob "$dir/spool/*.call"; @f == 0 }), 'when it is back, it is told');
unlike(PostgreSQL::Test::Utils::slurp_file("$dir/receiver.err"), qr/Traceback/, 'no traceback');

# one address may not ask for everything; LINE's calls have room
my $flood = IPC::Run::start([ 'sh', '-c', "for i in 1 2; do curl -s -Z --parallel-max 25 -o /dev/null -w '%{http_code}\\n' --cacert $dir/cert.pem -d x 'https://localhost:$tls_port/line/shop?[1-2000]' & done; wait" ], '<', '/dev/null', '>', \my $statuses, '2>', '/dev/null');
IPC::Run::finish($flood);
my %n;
$n{$_}++ for split /\n/, $statuses;
is(join(' ', sort keys %n), '401 429', 'a flood is cut off: ' . join(', ', map { "$n{$_} times $_" } sort keys %n));
cmp_ok($n{401}, '>=', 1000, 'a burst is not');
ok($sim->wait_until(sub { post('/line/shop', $empty, $good) == 200 }), 'and LINE is heard afterwards');

# what the service may do
SKIP:
{
	my ($analyze) = grep { -x } '/usr/bin/systemd-analyze';
	skip 'no systemd-analyze here', 1 if !$analyze || system("$analyze security --help 2>/dev/null | grep -q -- --offline") != 0;
	command_ok([ $analyze, 'security', '--no-pager', '--offline=true', '--threshold=25', "$root/receiver/line-notify-receiver.service" ], 'systemd-analyze: exposure at most 2.5');
}

$receiver->kill_kill;
$server->kill_kill;
$node->stop;
$sim->stop;
done_testing();
