# Streaming replication.  A standby is silent.  Failover in mid-flight to a
# synchronous standby: nothing twice, nothing lost, and it goes on at once.  To
# an asynchronous one that missed the last claims: what was due waits for
# delivery events, then on_promotion decides.  TAP: two servers.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
$sim->config(latency => 0.05);

sub pair
{
	my ($name) = @_;
	my $primary = LineNotify::Node->new("${name}_primary", init => [ allows_streaming => 1 ],
		'line_notify.promotion_grace' => '10min');
	$primary->install('postgres', $sim);
	return ($primary, $primary->standby("${name}_standby"));
}

# ---- synchronous ----
my ($primary, $standby) = pair('sync');
like($standby->health('postgres'), qr/standby: it sends nothing/, 'health() on a standby');
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'line_notify%'"), 0, 'no process of ours on a standby');
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;
$primary->poll_query_until('postgres', 'SELECT synchronous FROM line_notify.identity') or die;
# commits wait from when the checkpointer knows, and this it does not begin before
$primary->safe_psql('postgres', 'CHECKPOINT');
$primary->insert('postgres', 400);
$sim->wait_requests(100) or die;
$primary->stop('immediate');
$standby->promote;
ok($standby->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"),
	'synchronous: the promoted standby goes on at once');
my $summary = $sim->summary;
my $states = $standby->states('postgres');
note join ', ', map { "$_ $states->{$_}" } sort keys %$states;
is($summary->{messages}{received_twice}, 0, 'nothing twice');
is(($states->{accepted} // 0) + ($states->{unknown} // 0), 400, 'nothing lost');
my %seen = map { $_->{tag} =~ /^ln1-(\d+)-/ ? ($1 => 1) : () } $sim->requests(path => 'send');
my @lies = grep { !$seen{$_} } split /\n/, $standby->safe_psql('postgres', "SELECT id FROM line_notify.notifications WHERE state = 'accepted'");
is("@lies", '', 'what is accepted was sent');
is($standby->health('postgres', "subject = 'promotion'"), '', 'and there is no doubt');
$standby->stop;

# ---- asynchronous, and the standby missed the claims ----
for my $policy ('hold', 'send')
{
	$sim->reset;
	$sim->config(latency => 0.01, webhook => { batch => 1 });
	($primary, $standby) = pair("async_$policy");
	$primary->append_conf('postgresql.conf', 'line_notify.enabled = off');
	$primary->reload;
	$primary->poll_query_until('postgres', 'SELECT setting = \'off\' FROM pg_settings WHERE name = \'line_notify.enabled\'') or die;
	$primary->insert('postgres', 20);
	$primary->insert('postgres', 2, first => 21, set => { send_after => "now() + interval '1 hour'" });
	$primary->wait_for_catchup($standby);
	# the standby hears no more
	$standby->append_conf('postgresql.conf', "primary_conninfo = ''\nline_notify.on_promotion = $policy\nshared_preload_libraries = ''");
	$standby->restart;
	$primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_replication') or die;
	$primary->append_conf('postgresql.conf', 'line_notify.enabled = on');
	$primary->reload;
	$primary->wait_states('postgres', accepted => 20, queued => 2);
	$primary->stop('immediate');

	$standby->promote;
	# no worker has seen the promotion yet: what is inserted is nobody else's, and
	# what comes due from before may have been sent by a primary that went on
	$standby->insert('postgres', 1, first => 30);
	$standby->safe_psql('postgres', q{UPDATE line_notify.outbox SET due_at = clock_timestamp() WHERE reference = 'ref 21'});
	$standby->append_conf('postgresql.conf', "shared_preload_libraries = 'line_notify'");
	$standby->restart;
	ok($standby->poll_query_until('postgres', "SELECT reason LIKE '%delivery events%' FROM line_notify.health() WHERE subject = 'promotion'"),
		"asynchronous, $policy: in doubt");
	is($standby->safe_psql('postgres', "SELECT count(*), bool_and(waiting_until = (SELECT in_doubt_until FROM line_notify.identity)) FROM line_notify.notifications WHERE waiting_reason = 'in doubt after a promotion'"),
		'21|t', 'each message says so, and until when');
	ok($standby->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 30'"), 'what was inserted since is not');
	$standby->insert('postgres', 1, first => 31);
	ok($standby->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref 31'"), 'new messages go');
	# delivery events of five of them arrive
	my @hooks = $sim->webhooks(max => 5);
	my $events = 0;
	for my $hook (@hooks)
	{
		my $hex = unpack('H*', $hook->[0]);
		$events += $standby->safe_psql('postgres', "SELECT line_notify.receive_webhook('shop', '\\x$hex'::bytea, '$hook->[1]')");
	}
	cmp_ok($events, '>', 0, 'delivery events come');
	ok($standby->poll_query_until('postgres', "SELECT count(*) >= $events FROM line_notify.notifications WHERE state = 'delivered'"), 'and settle theirs');
	# time passes, while a session has one of them locked
	my $session = $standby->background_psql('postgres');
	my $locked = $standby->safe_psql('postgres', q{SELECT min(id) FROM line_notify.outbox WHERE due_at < now()});
	$session->query_safe("BEGIN; SELECT FROM line_notify.outbox WHERE id = $locked FOR UPDATE");
	$standby->safe_psql('postgres', 'UPDATE line_notify.identity SET in_doubt_until = clock_timestamp()');
	if ($policy eq 'hold')
	{
		ok($standby->poll_query_until('postgres', "SELECT array_agg(id) = '{$locked}' FROM line_notify.outbox WHERE due_at < now()"), 'after the grace, all but one');
	}
	else
	{
		ok($standby->poll_query_until('postgres', 'SELECT in_doubt_before IS NULL FROM line_notify.identity'), 'after the grace');
	}
	$session->query_safe('COMMIT');
	$session->quit;
	ok($standby->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending') AND due_at < now()"), 'after the grace');
	$summary = $sim->summary;
	$states = $standby->states('postgres', "reference NOT IN ('ref 30', 'ref 31')");
	note join ', ', map { "$_ $states->{$_}" } sort keys %$states;
	if ($policy eq 'hold')
	{
		is($summary->{messages}{received_twice}, 0, 'hold: nothing twice');
		is($states->{unknown} // 0, 21 - ($states->{delivered} // 0), 'and the rest is unknown');
	}
	else
	{
		is($summary->{messages}{received_twice}, ($states->{accepted} // 0) - 1, 'send: the rest is sent again, that and no more');
		is($states->{unknown} // 0, 0, 'and nothing is unknown');
	}
	is($states->{queued}, 1, 'what was not due then is not in doubt');
	ok($standby->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.health() WHERE subject = 'promotion'"), 'health() is content again');
	unlike(slurp_file($standby->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
	$standby->stop;
}
$sim->stop;
done_testing();
