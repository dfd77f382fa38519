# Each answer LINE can give leads to the state that the outcome table of
# line_api.c says, seen from SQL.  TAP: the whole way through the worker.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);

my $n = 0;
my @ends = (
	[ 200, 'accepted' ], [ 201, 'accepted' ], [ 202, 'accepted' ], [ 204, 'accepted' ],
	[ 400, 'refused' ], [ 409, 'refused' ], [ 410, 'refused' ], [ 413, 'refused' ],
	[ 422, 'unreachable' ],
	# given up on the way, after the whole request had left
	[ 408, 'unknown' ], [ 425, 'unknown' ],
	[ 500, 'unknown' ], [ 502, 'unknown' ], [ 504, 'unknown' ],
);
for my $case (@ends)
{
	my ($status, $state) = @$case;
	$n++;
	$sim->script_only({ match => { path => 'send' }, answer => $status });
	$node->insert('postgres', 1, first => $n);
	ok($node->poll_query_until('postgres',
			"SELECT state FROM line_notify.notifications WHERE reference = 'ref $n'", $state),
		"$status: $state");
	is($node->safe_psql('postgres', "SELECT http_status FROM line_notify.notifications WHERE reference = 'ref $n'"),
		$status, 'status is kept');
}

# not accepted, and may be repeated: the row waits, no attempt is consumed
for my $case ([ 429, {} ], [ 429, { 'Retry-After' => 1 } ], [ 503, { 'Retry-After' => 1 } ])
{
	my ($status, $headers) = @$case;
	$n++;
	$sim->reset;
	$sim->script_only({ match => { path => 'send' }, answer => { status => $status, headers => $headers }, times => 1 });
	$node->insert('postgres', 1, first => $n);
	ok($node->poll_query_until('postgres',
			"SELECT state || ' ' || attempts FROM line_notify.notifications WHERE reference = 'ref $n'", 'accepted 1'),
		"$status" . (%$headers ? ' with Retry-After' : '') . ': accepted later, no attempt consumed');
	my @r = $sim->requests(path => 'send');
	is(scalar(@r), 2, 'two requests');
	isnt($r[0]{tag}, $r[1]{tag}, 'each with a tag of its own');
	is($node->safe_psql('postgres', "SELECT string_agg(a.attempt || ' ' || a.outcome, ', ' ORDER BY a.attempt) FROM line_notify.attempts a JOIN line_notify.notifications m USING (id) WHERE m.reference = 'ref $n'"),
		'1 throttled, 2 accepted', 'and a number of its own');
}

# what became of it then says nothing else: an attempt that LINE answered was sent
for my $how ([ cancelled => 'SELECT line_notify.cancel(ids => ARRAY[%1$d::bigint])' ],
	[ suppressed => "SELECT line_notify.suppress_recipient('090-1000-00%2\$d')" ],
	[ failed => "SELECT line_notify.alter_channel('shop', max_attempts => 1); SELECT line_notify.resume('shop')" ])
{
	my ($state, $do) = @$how;
	$n++;
	$sim->script_only({ match => { path => 'send' }, times => 1, answer => { status => 429, headers => { 'Retry-After' => 600 } } });
	$node->insert('postgres', 1, first => $n);
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.attempts a JOIN line_notify.notifications m USING (id) WHERE m.reference = 'ref $n' AND m.state = 'queued'"), '429 with Retry-After: it waits') or last;
	if ($state eq 'failed')
	{
		$sim->listen('off');
		$sim->end_connections('close');
	}
	$node->safe_psql('postgres', sprintf($do, $node->safe_psql('postgres', "SELECT id FROM line_notify.outbox WHERE reference = 'ref $n'"), $n));
	ok($node->poll_query_until('postgres', "SELECT state FROM line_notify.notifications WHERE reference = 'ref $n'", $state), "and is $state");
	is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.notifications m JOIN line_notify.states s USING (state) WHERE m.reference = 'ref $n' AND (m.error ~* 'never|not sent' OR s.description_en ~* 'never|not sent' OR s.description_ja ~ '送信していない')"),
		0, 'which nobody calls never sent');
	# history is emptied below, of what no worker has ended, too
	$node->by_hand('postgres', $node->safe_psql('postgres', "SELECT id FROM line_notify.notifications WHERE reference = 'ref $n'"));
	$sim->reset;
	$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', max_attempts => 0); SELECT line_notify.resume('shop')");
}

# an answer that is not about the message: a short run of it stops the others,
# with what was answered
for my $status (402, 406, 409, 410, 418, 423, 451, 499)
{
	$node->safe_psql('postgres', 'DELETE FROM line_notify.history');
	$sim->script_only({ match => { path => 'send' }, answer => { status => $status, body => '{"message":"a word of somebody"}' } });
	$node->insert('postgres', 300, first => $n + 1);
	$n += 300;
	ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM line_notify.health() WHERE severity = 'error' AND subject = 'channel shop' AND reason ~ 'paused template messages: LINE answered $status: a word of somebody' AND hint ~ 'resume'"),
		"$status: the endpoint pauses, and health() has the words")
	  or diag($node->safe_psql('postgres', 'SELECT * FROM line_notify.health()'));
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.in_flight"), 'what was on the wire is answered');
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.notifications WHERE state = 'refused'"), '<', 150, 'most were not spent');
	$sim->clear_script;
	$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.outbox"), 'the others go on');
}

# also where they take turns
$node->safe_psql('postgres', 'TRUNCATE line_notify.history');
$sim->script_only(map { { match => { path => 'send', tag => "^ln1-[0-9]*[$_->[0]]-" }, answer => $_->[1] } } [ '01', 402 ], [ '23', 409 ], [ '45', 418 ], [ '67', 451 ], [ '89', 499 ]);
$node->insert('postgres', 300, first => $n + 1);
$n += 300;
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM line_notify.health() WHERE severity = 'error' AND reason ~ 'paused template messages: LINE answered 4(02|09|18|51|99)'"),
	'statuses that take turns: the endpoint pauses')
  or diag($node->safe_psql('postgres', 'SELECT * FROM line_notify.health()'));
$sim->clear_script;
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.outbox"), 'the others go on');

# what every message would meet pauses the channel and says so
for my $status (301, 401, 403, 404, 405, 407, 415, 426)
{
	$n++;
	$sim->script_only({ match => { path => 'send' }, answer => $status, times => 1 });
	$node->insert('postgres', 1, first => $n);
	ok($node->poll_query_until('postgres',
			"SELECT paused AND pause_reason LIKE '%$status%' FROM line_notify.channels"),
		"$status: the channel is paused");
	ok($node->poll_query_until('postgres',
			"SELECT state || ' ' || attempts FROM line_notify.notifications WHERE reference = 'ref $n'", 'queued 0'),
		'the message waits, no attempt consumed');
	like($node->health('postgres', "subject LIKE 'channel%' AND severity = 'error'"),
		qr/paused.*$status/s, 'health() names the cause');
	$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
	ok($node->poll_query_until('postgres',
			"SELECT state FROM line_notify.notifications WHERE reference = 'ref $n'", 'accepted'),
		'sent after resume()');
}

$node->stop;
$sim->stop;
done_testing();
