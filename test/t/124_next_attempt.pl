# What an attempt leaves for the next one, and for whoever makes the record of a
# dead worker anew: that the message may have arrived, which attempt it was, its
# policy, and what exactly LINE said.  TAP, because each needs a server that ends
# between an answer and its record.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, channel => "backoff_base => '100 ms', settle_window => '0', total_timeout => '60 s'");
my $log = $node->logfile;
my $n = 0;
my $retry = q('{"on_unknown": "retry"}');

sub sql { return $node->safe_psql('postgres', @_); }

sub answers { return $sim->script_only(map { { match => { path => 'send' }, times => 1, %$_ } } @_); }

sub insert
{
	my (%set) = @_;
	$node->insert('postgres', 1, first => ++$n, set => \%set);
	return sql('SELECT max(id) FROM line_notify.notifications');
}

sub becomes
{
	my ($id, $want, $what) = @_;
	my $row = "SELECT state || ' ' || attempts FROM line_notify.notifications WHERE id = $id";
	return ok($node->poll_query_until('postgres', "SELECT ($row) = '$want'"), $what) || diag(sql($row));
}

# The server ends with an answer that is read and not recorded; what the next worker says of the leases.
sub answered_not_recorded
{
	my $s = $node->background_psql('postgres');
	$s->query_safe('BEGIN; LOCK TABLE line_notify.in_flight IN SHARE MODE');
	my $from = -s $log;
	$sim->clear_script;
	$node->wait_for_log(qr/lock timeout/, $from) or die 'it is recorded';
	return crash($s);
}

sub crash
{
	my ($s) = @_;
	$node->stop('immediate');
	eval { $s->quit } if $s;
	my $from = -s $log;
	$node->start;
	$node->wait_for_log(qr/recovered .* unknown/, $from) or die 'nothing is recovered';
	my ($recovered) = slurp_file($log, $from) =~ /recovered (.* unknown)/;
	return $recovered;
}

my $of_one = '1 claims of a process that died: 0 never sent,';

# ---- once perhaps sent is perhaps sent, whatever is said later
{
	answers({ at => 'body', do => ['close'] }, { answer => { status => 429, headers => { 'Retry-After' => 1 } } }, { answer => 422 });
	my $id = insert(policy => $retry);
	becomes($id, 'unknown 2', 'no answer, then 429, then 422: nobody knows');
	is(sql("SELECT string_agg(outcome, ',' ORDER BY started_at) FROM line_notify.attempts WHERE id = $id"),
		'ambiguous,throttled,unreachable', 'that was what LINE said');

	answers({ at => 'body', do => ['close'] }, { at => 'body', do => [ 'hold', 'answer' ], answer => 422 });
	my $before = $sim->summary->{requests};
	$id = insert(policy => $retry);
	$sim->wait_requests($before + 2) or die 'not sent again';
	is(answered_not_recorded(), "$of_one 1 answered, 0 unknown", 'no answer, then 422 that was not recorded');
	becomes($id, 'unknown 2', 'nobody knows either');
}

# ---- which attempt it was, and what the message says of another
{
	my ($close, $stall) = ({ at => 'body', do => ['close'] }, { at => 'body', do => ['stall'] });
	for my $case ([ 1, 'unknown 1', $stall ], [ 2, 'unknown 2', $close, $stall ], [ 3, 'accepted 3', $close, $stall ])
	{
		my ($most, $want, @script) = @$case;
		answers(@script);
		my $before = $sim->summary->{requests};
		my $id = insert(policy => qq('{"on_unknown": "retry", "max_attempts": $most}'));
		$sim->wait_requests($before + @script) or die 'nothing is sent';
		is(crash(), "$of_one 0 answered, 1 unknown", "sent and not answered, at most $most attempts");
		becomes($id, $want, $want);
		is($sim->summary->{requests}, $before + substr($want, -1), 'sent so often');
	}
}

# ---- a refusal that names a time took nothing, a plain one perhaps
for my $case ([ { status => 503, headers => { 'Retry-After' => 1 } }, 'accepted 1' ], [ 503, 'unknown 1' ])
{
	my ($answer, $want) = @$case;
	answers({ at => 'body', do => [ 'hold', 'answer' ], answer => $answer });
	my $before = $sim->summary->{requests};
	my $id = insert();
	$sim->wait_requests($before + 1) or die 'nothing is sent';
	is(answered_not_recorded(), "$of_one 1 answered, 0 unknown", '503 ' . (ref $answer ? 'with' : 'without') . ' Retry-After, not recorded');
	becomes($id, $want, $want);
}

$node->stop;
$sim->stop;
done_testing();
