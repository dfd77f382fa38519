# An outage of each kind in the middle of a batch costs a handful of messages
# their certainty, and nothing else: what is still wanted is delivered once, none
# becomes a dead letter.  Meanwhile health() names the cause, and says what to
# look at.  TAP: the simulator misbehaves, its log is the judge.
# LN_OUTAGE_ROWS messages each (300; 100000 for the full size).

use strict;
use warnings;

use Test::More;
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time);
use LineNotify::Sim;
use LineNotify::Node;

my $rows = $ENV{LN_OUTAGE_ROWS} || 300;
# what was on the wire when it began, a window of that, and probes; at full rate
# and size that is bounded by max_in_flight
my $handful = $rows > 1000 ? 400 : 60;
# a breaker asks once a minute at last
my $timeout = $rows > 1000 ? $rows / 100 : 180;

my $certs = PostgreSQL::Test::Utils::tempdir();
system('sh', dirname(__FILE__) . '/../mock/certs.sh', $certs) == 0 or plan skip_all => 'no openssl command';
my $sim = LineNotify::Sim->start(tls => [ "$certs/good.pem", "$certs/good.key" ]);
my $node = LineNotify::Node->new('main');
my ($rate, $patience) = $rows > 1000 ? (1000, '5 s') : (150, '500 ms');
# in which LINE, being well, answers on any machine
my $enough = '20 s';
$node->install('postgres', $sim,
	channel => "backoff_base => '50 ms', backoff_cap => '1 s', total_timeout => '$enough', connect_timeout => '5 s', rate_limit => $rate, ca_file => '$certs/ca.pem'");

sub sql { return $node->safe_psql('postgres', shift); }

my $token = $sim->token;
my $url = $sim->url;

# Who connects finds another world.  What is on the wire is answered, the last of its connection: else it is these
# answers that the breaker opens for, and health() names.
sub change
{
	my ($how) = @_;
	$how->();
	$sim->script({ match => { path => 'send' }, do => [ 'answer', 'close' ] });
	$sim->end_connections('close', idle => 1);
	return;
}

# A kind: how it begins and ends, and what health() says of it, as reason and hint.
my @kinds = (
	{ name => 'refused connections', begin => sub { change(sub { $sim->listen('off') }) },
		end => sub { $sim->clear_script; $sim->listen('on'); },
		reason => 'breaker.*not_sent.*onnect', hint => 'can this server reach' },
	{ name => 'time-outs', begin => sub { $sim->script({ match => { path => 'send' }, do => ['stall'] }); sql("SELECT line_notify.alter_channel('shop', total_timeout => '$patience')"); },
		end => sub { sql("SELECT line_notify.alter_channel('shop', total_timeout => '$enough')"); $sim->clear_script; $sim->end_connections('close'); },
		reason => 'breaker.*ambiguous.*timed out', hint => 'total_timeout is 00:00:0[.0-9]+' },
	{ name => '500', begin => sub { $sim->script({ match => { path => 'send' }, answer => 500 }); },
		end => sub { $sim->clear_script; },
		reason => 'breaker.*server_error.*HTTP status 500', hint => 'LINE.s side' },
	{ name => '503', begin => sub { $sim->script({ match => { path => 'send' }, answer => 503 }); },
		end => sub { $sim->clear_script; },
		reason => 'wait until.*HTTP status 503', hint => 'overload or maintenance' },
	{ name => '503 with Retry-After', begin => sub { $sim->script({ match => { path => 'send' }, answer => { status => 503, headers => { 'Retry-After' => '2' } } }); },
		end => sub { $sim->clear_script; },
		reason => 'wait until.*HTTP status 503', hint => 'overload or maintenance' },
	{ name => 'closed after reading', begin => sub { $sim->script({ match => { path => 'send' }, do => ['close'] }); },
		end => sub { $sim->clear_script; },
		reason => 'breaker.*ambiguous', hint => 'end as unknown' },
	{ name => 'redirects', begin => sub { $sim->script({ match => { path => 'send' }, answer => { status => 302, headers => { Location => "$url/elsewhere" } } }); },
		end => sub { $sim->clear_script; sql("SELECT line_notify.resume('shop')"); },
		reason => 'paused template messages: LINE answered 302', hint => 'resume' },
	{ name => 'a wrong token', begin => sub { sql("SELECT line_notify.set_credential('shop', 'access_token', 'nonsense')"); },
		end => sub { sql("SELECT line_notify.set_credential('shop', 'access_token', '$token')"); },
		reason => 'paused: LINE answered 401', hint => 'set_credential' },
	{ name => 'a broken proxy', begin => sub { sql("SELECT line_notify.alter_channel('shop', proxy => 'http://127.0.0.1:1')"); },
		end => sub { sql("SELECT line_notify.alter_channel('shop', proxy => '')"); },
		reason => 'breaker.*not_sent', hint => 'Is the proxy http://127.0.0.1:1 up' },
	{ name => 'a name that cannot be resolved', begin => sub { sql("SELECT line_notify.alter_channel('shop', api_base => 'https://nowhere.invalid')"); },
		end => sub { sql("SELECT line_notify.alter_channel('shop', api_base => '$url')"); },
		reason => 'breaker.*not_sent.*resolv', hint => 'nowhere.invalid cannot be resolved' },
	{ name => 'an expired certificate', begin => sub { change(sub { $sim->tls(cert => "$certs/expired.pem", key => "$certs/expired.key") }) },
		end => sub { $sim->clear_script; $sim->tls(cert => "$certs/good.pem", key => "$certs/good.key"); },
		reason => 'breaker.*not_sent.*certificate', hint => 'certificate of the other side' },
);

# what the alerts are tested with, see 402_exporter.pl
my $alerts = slurp_file(($ENV{LN_SRC} // dirname(__FILE__) . '/../..') . '/test/monitoring/alerts_test.yaml');
my %alert_reason;
$alert_reason{$1} = $2 while $alerts =~ /# outage: ([^\n]+)\n(?:(?!  - interval)[^\n]*\n)?.*?reason="(?!in line)([^"]+)"/gs;

my $first = 1;
for my $kind (@kinds)
{
	my $name = $kind->{name};
	next if $ENV{LN_OUTAGE_KIND} && $name !~ /$ENV{LN_OUTAGE_KIND}/;
	$sim->reset;
	sql('DELETE FROM line_notify.history; DELETE FROM line_notify.attempt_log');
	# LINE answers so many, and the next ones when the outage has begun: it finds some left
	$sim->script({ match => { path => 'send' }, do => 'answer', times => $rows / 10 }, { name => 'batch', match => { path => 'send' }, do => 'hold' });
	$node->insert('postgres', $rows, first => $first);
	$first += $rows;
	ok($sim->wait_requests($rows / 10, 30), "$name: in the middle of a batch");
	my $began = time;
	$kind->{begin}->();
	$sim->clear_script('batch');
	ok($node->poll_query_until('postgres', "SELECT bool_or(reason ~ '$kind->{reason}' AND hint ~ '$kind->{hint}') FROM line_notify.health() WHERE subject = 'channel shop'"),
		'health() names it')
	  or diag(sql('SELECT * FROM line_notify.health()'), sql('SELECT * FROM line_notify.stats'));
	note(sprintf('named after %.1f s', time - $began));
	# monitoring has a minute; the alerts begin where it ends
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.backlog WHERE reason = '$alert_reason{$name}' AND oldest_due IS NOT NULL"),
		"backlog: messages are due and wait ($alert_reason{$name})")
	  or diag(sql('SELECT * FROM line_notify.backlog'));
	sql("SELECT line_notify.reset_stats(); UPDATE line_notify.outbox SET due_at = due_at - interval '2 minutes'");
	ok($node->poll_query_until('postgres', "SELECT bool_or(severity = 'error' AND reason ~ 'breaker|wait until|paused') FROM line_notify.health() WHERE subject = 'channel shop'"),
		'when nothing leaves for a minute, it is an error')
	  or diag(sql('SELECT * FROM line_notify.health()'), sql('SELECT * FROM line_notify.stats'));
	isnt(sql("SELECT count(*) FROM line_notify.outbox"), 0, 'in the middle it was');
	$kind->{end}->();
	my $done = $sim->wait_until(sub { sql('SELECT count(*) FROM line_notify.outbox') == 0 }, $timeout);
	ok($done, 'afterwards everything is sent')
	  or diag(sql('SELECT state, waiting_reason, waiting_until, count(*) FROM line_notify.notifications GROUP BY 1, 2, 3'), sql('SELECT * FROM line_notify.health()'));
	my $states = $node->states('postgres');
	my $unknown = $states->{unknown} // 0;
	is(($states->{accepted} // 0) + $unknown, $rows, 'accepted or unknown, nothing else');
	cmp_ok($unknown, '<=', $handful, "$unknown unknown of $rows");
	my $summary = $sim->summary;
	is($summary->{messages}{accepted_twice}, 0, 'none was accepted twice');
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.health() WHERE reason ~ 'breaker|paused|wait until'"), 'health() is content again')
	  or diag(sql('SELECT * FROM line_notify.health()'));
}

$node->stop;
$sim->stop;
done_testing();
