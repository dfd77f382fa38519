# An outage of each kind in the middle of a batch costs a handful of messages
# their certainty, and nothing else: what is still wanted is delivered once, none
# becomes a dead letter.  TAP: the simulator misbehaves, its log is the judge.
# LN_OUTAGE_ROWS messages each (300; 100000 for the full size).

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $rows = $ENV{LN_OUTAGE_ROWS} // 300;
my $handful = 60;				# what was on the wire, a window of it, and probes
my $timeout = $rows > 1000 ? $rows / 100 : 60;

my $sim = LineNotify::Sim->start;
my $proxy = LineNotify::Sim->start_proxy;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim,
	channel => "backoff_base => '50 ms', backoff_cap => '1 s', total_timeout => '500 ms', connect_timeout => '300 ms', rate_limit => 400");

sub sql { return $node->safe_psql('postgres', shift); }

my $token = $sim->token;
my $url = $sim->url;
my $port = $sim->port;
my @kinds = (
	{ name => 'refused connections', begin => sub { $sim->end_connections('close'); $sim->listen('off'); $sim->end_connections('reset'); },
		end => sub { $sim->listen('on'); }, told => q{SELECT bool_or(outcome = 'not_sent') FROM line_notify.attempts} },
	{ name => 'time-outs', begin => sub { $sim->script({ match => { path => 'send' }, do => ['stall'] }); },
		end => sub { $sim->clear_script; $sim->end_connections('close'); }, told => q{SELECT count(*) >= 5 FROM line_notify.attempts WHERE outcome = 'ambiguous'} },
	{ name => '500', begin => sub { $sim->script({ match => { path => 'send' }, answer => 500 }); },
		end => sub { $sim->clear_script; }, told => q{SELECT count(*) >= 5 FROM line_notify.attempts WHERE http_status = 500} },
	{ name => '503', begin => sub { $sim->script({ match => { path => 'send' }, answer => 503 }); },
		end => sub { $sim->clear_script; }, told => q{SELECT count(*) >= 1 FROM line_notify.attempts WHERE http_status = 503} },
	{ name => 'closed after reading', begin => sub { $sim->script({ match => { path => 'send' }, do => ['close'] }); },
		end => sub { $sim->clear_script; }, told => q{SELECT count(*) >= 5 FROM line_notify.attempts WHERE outcome = 'ambiguous'} },
	{ name => 'redirects', begin => sub { $sim->script({ match => { path => 'send' }, answer => { status => 302, headers => { Location => "$url/elsewhere" } } }); },
		end => sub { $sim->clear_script; sql("SELECT line_notify.resume('shop')"); }, told => q{SELECT bool_or(reason LIKE '%302%') FROM line_notify.health()} },
	{ name => 'a wrong token', begin => sub { sql("SELECT line_notify.set_credential('shop', 'access_token', 'nonsense')"); },
		end => sub { sql("SELECT line_notify.set_credential('shop', 'access_token', '$token')"); }, told => q{SELECT bool_or(reason LIKE '%401%') FROM line_notify.health()} },
	{ name => 'a broken proxy', begin => sub { sql("SELECT line_notify.alter_channel('shop', proxy => 'http://127.0.0.1:1')"); },
		end => sub { sql("SELECT line_notify.alter_channel('shop', proxy => '')"); }, told => q{SELECT count(*) >= 1 FROM line_notify.attempts WHERE outcome = 'not_sent'} },
);

my $first = 1;
for my $kind (@kinds)
{
	my $name = $kind->{name};
	next if $ENV{LN_OUTAGE_KIND} && $name !~ /$ENV{LN_OUTAGE_KIND}/;
	$sim->reset;
	sql('TRUNCATE line_notify.history, line_notify.attempt_log');
	$node->insert('postgres', $rows, first => $first);
	$first += $rows;
	ok($sim->wait_requests($rows / 10, 30), "$name: in the middle of a batch");
	$kind->{begin}->();
	ok($node->poll_query_until('postgres', $kind->{told}), 'it is noticed');
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
}

$node->stop;
$sim->stop;
$proxy->stop;
done_testing();
