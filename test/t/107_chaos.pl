# Chaos, seeded: while messages flow, the worker is killed and terminated, its
# server crashed and restarted, connections cut, every status and silence
# answered.  The simulator judges.  Default policies: no message is received
# twice except where LINE said that it did not take it, every row ends in a
# state that is true.  Policy retry: none lost, and no more duplicates than
# ambiguous answers.
#
# LN_CHAOS_MESSAGES (1000 per policy), LN_CHAOS_SEED.  TAP: crashes.

use strict;
use warnings;

use List::Util qw(min);
use Test::More;
use Time::HiRes qw(time);
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $messages = $ENV{LN_CHAOS_MESSAGES} // 1000;
my $rate = $messages > 10000 ? 2000 : 400;
my $seed = $ENV{LN_CHAOS_SEED} // 20261121;
srand($seed);
note "seed $seed, $messages messages per policy";

# what goes wrong, each with its share of the requests
sub faults
{
	my $k = 0;
	return map {
		my ($p, %rule) = @$_;
		+{ name => 'fault ' . ++$k,
			match => { path => 'send', probability => $p, seed => $seed + $k }, %rule }
	  } (
		[ 0.01, answer => 500 ],
		[ 0.01, answer => { status => 503, headers => { 'Retry-After' => 1 } } ],
		[ 0.005, answer => { status => 429, headers => { 'Retry-After' => 1 } } ],
		[ 0.01, answer => 422 ],
		[ 0.01, at => 'body', do => ['close'] ],
		[ 0.01, at => 'body', do => ['reset'] ],
		[ 0.01, at => 'head', do => ['reset'] ],
		[ 0.01, at => 'body', do => [ { answer_to => 'status_line' }, 'close' ] ],
		[ 0.01, at => 'body', do => [ { answer_to => 'headers' }, 'reset' ] ],
		[ 0.01, at => 'body', do => [ { send => "\0\0garbage\r\n\r\n" }, 'close' ] ],
		[ 0.003, at => 'body', do => ['stall'] ],
		[ 0.01, at => 'body', do => [ { delay => 0.2 }, 'answer' ] ]);
}

for my $policy ('hold', 'retry')
{
	my $sim = LineNotify::Sim->start;
	$sim->config(latency => 0.01);
	my $node = LineNotify::Node->new("chaos_$policy", restart_after_crash => 'on',
		'line_notify.shutdown_timeout' => '300ms');
	# the breaker would spare us most of the faults: backoff short, time-outs too
	$node->install('postgres', $sim, channel =>
		"on_unknown => '$policy', on_server_error => '$policy', total_timeout => '2 s', connect_timeout => '1 s',"
		. " backoff_base => '50 ms', backoff_cap => '500 ms', default_ttl => '1 hour', rate_limit => $rate, settle_window => '0'");
	$sim->script(faults());

	my $sent = 0;
	my $batch = min(int($messages / 10) || 1, 1000);
	my $pace = 400 / $rate * $batch / 100;	# as many deeds as messages make sense
	my @deeds = ('kill worker', 'terminate worker', 'restart', 'immediate', 'connections', 'rollback', 'refuse', 'kill backend', 'reload');
	my $deadline = time() + 600 + $messages / 20;
	my $rounds = 0;
	while ($sent < $messages && time() < $deadline)
	{
		my $n = $sent + $batch > $messages ? $messages - $sent : $batch;
		my ($rc) = $node->psql('postgres', $node->insert_sql($n, first => $sent + 1), on_error_die => 0);
		# a server that is just recovering: was it committed?
		if ($rc != 0)
		{
			$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
			next unless $node->safe_psql('postgres', "SELECT count(*) FROM line_notify.notifications WHERE reference = 'ref @{[ $sent + 1 ]}'");
		}
		$sent += $n;
		select(undef, undef, undef, $pace * (0.1 + rand(0.4)));
		my $deed = $deeds[ $rounds++ % @deeds ];
		note sprintf 'at %d: %s', $sent, $deed;
		if ($deed eq 'kill worker')
		{
			kill 'KILL', $node->worker_pid('postgres');
			$node->poll_query_until('postgres', 'SELECT true') or die;
		}
		elsif ($deed eq 'terminate worker')
		{
			$node->psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'line_notify worker'");
		}
		elsif ($deed eq 'restart') { $node->restart; }
		elsif ($deed eq 'immediate') { $node->stop('immediate'); $node->start; }
		elsif ($deed eq 'connections') { $sim->end_connections('reset'); }
		elsif ($deed eq 'rollback') { $node->psql('postgres', 'BEGIN; ' . $node->insert_sql(50, first => 900000) . '; ROLLBACK'); }
		elsif ($deed eq 'refuse') { $sim->listen('off', for => 0.5); }
		elsif ($deed eq 'kill backend')
		{
			my $victim = $node->background_psql('postgres', on_error_stop => 0);
			my $pid = $victim->query_safe('SELECT pg_backend_pid()');
			kill 'KILL', $pid;
			eval { $victim->quit };
			$node->poll_query_until('postgres', 'SELECT true') or die;
		}
		elsif ($deed eq 'reload') { $node->reload; }
	}
	is($sent, $messages, "$policy: all inserted");
	$sim->clear_script;
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.notifications WHERE state IN ('queued', 'sending')"),
		"$policy: everything comes to an end") or diag $node->safe_psql('postgres', 'SELECT * FROM line_notify.health()');

	my (%received, %accepted, %refused, %unreachable);
	for my $r ($sim->requests(path => 'send'))
	{
		my ($id) = $r->{tag} =~ /^ln1-(\d+)-/ or next;
		$received{$id}++;
		$accepted{$id}++ if $r->{accepted};
		$unreachable{$id}++ if ($r->{status} // 0) == 422;
		# LINE says: not taken; another attempt is no copy
		$refused{$id}++ if ($r->{status} // 0) =~ /^(429|422)$/ || (($r->{status} // 0) == 503);
	}
	my %rows = map { my ($id, @row) = split /\|/; ($id => \@row) } split /\n/, $node->safe_psql('postgres',
		'SELECT id, state, attempts FROM line_notify.notifications');
	is(scalar(keys %rows), $messages, "$policy: none lost, none invented");
	my %count;
	$count{ $_->[0] }++ for values %rows;
	my $summary = $sim->summary;
	note "$policy: ", join(', ', map { "$_ $count{$_}" } sort keys %count),
	  "; requests $summary->{requests}, accepted twice $summary->{messages}{accepted_twice}";

	my (@twice, @lies);
	my $copies = 0;
	for my $id (sort { $a <=> $b } keys %rows)
	{
		my $state = $rows{$id}[0];
		my $took = $accepted{$id} // 0;
		push @twice, $id if ($received{$id} // 0) - ($refused{$id} // 0) > 1;
		$copies += $took - 1 if $took > 1;
		push @lies, "$id $state, taken $took times, received " . ($received{$id} // 0)
		  if ($state eq 'accepted' && !$took)
		  || ($state eq 'unreachable' && $took)
		  || $state !~ /^(accepted|unknown|unreachable)$/;
	}
	is("@lies", '', "$policy: every state is true");
	if ($policy eq 'hold')
	{
		is("@twice", '', 'hold: nothing is received again after LINE may have taken it');
		is($copies, 0, 'hold: nobody got two copies');
	}
	else
	{
		# one that was perhaps sent before, and that LINE cannot deliver, ends as unknown
		my @lost = grep { $rows{$_}[0] eq 'unknown' && !$accepted{$_} && !$unreachable{$_} } keys %rows;
		is("@lost", '', 'retry: none lost');
		my $doubts = $node->safe_psql('postgres', "SELECT count(*) FROM line_notify.attempts WHERE outcome IN ('ambiguous', 'server_error')");
		note "copies $copies, ambiguous attempts $doubts";
		cmp_ok($copies, '<=', $doubts, 'retry: no more copies than ambiguous attempts');
	}
	unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|signal 11|signal 6)/, "$policy: no crash but ours");
	$node->stop;
	$sim->stop;
}
done_testing();
