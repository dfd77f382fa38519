# A message keeps its trace, and every other column that queue and history share,
# on each road out of the queue and back: sent, tried again, cancelled, expired,
# invalid, set aside, redriven, delivered by an event that came first.  TAP: a
# worker, the simulator.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use LineNotify::Node;
use LineNotify::Sim;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]) }
sub holds { my ($what, $query) = @_; ok($node->poll_query_until('postgres', $query), $what) or diag(sql('SELECT * FROM line_notify.notifications')) }

# each of them with a trace, and with what else a message may have
sub trace { return sprintf '00-%032x-%016x-01', 7, $_[0] }
my $at = 0;
sub put
{
	my (%set) = @_;
	$at++;
	$node->insert('postgres', 1, first => $at, set => { traceparent => "'" . trace($at) . "'", batch => "'b'", priority => 3,
		dedup_key => "'d $at'", order_key => "'o $at'", policy => "'{\"max_attempts\": 5}'", %set });
	return $at;
}
# what the queue has of it, before it leaves
my %before;
sub note_row { $before{ $_[0] } = sql("SELECT to_jsonb(o) FROM line_notify.outbox o WHERE reference = 'ref $_[0]'") or die "no message $_[0]" }

# Nothing of the message was lost on the way: all columns that both have, but
# those that say how it stands
sub kept
{
	my ($n, $road, $where) = @_;
	$where //= 'history';
	is(sql(qq{
SELECT string_agg(format('%s: %s, was %s', key, x.value, y.value), '; ')
FROM line_notify.$where h, jsonb_each(to_jsonb(h)) x JOIN jsonb_each(\$\$$before{$n}\$\$) y USING (key)
WHERE h.reference = 'ref $n' AND key NOT IN ('id', 'state', 'attempts', 'maybe_sent', 'error', 'due_at', 'expires_at', 'send_after')
  AND x.value IS DISTINCT FROM y.value}), '', "$road: every column is kept");
	is(sql("SELECT traceparent FROM line_notify.$where WHERE reference = 'ref $n'"), trace($n), "$road: the trace among them");
	is(sql("SELECT string_agg(DISTINCT traceparent, ' ') FROM (SELECT traceparent FROM line_notify.notifications WHERE reference = 'ref $n'
		UNION ALL SELECT traceparent FROM line_notify.messages WHERE reference = 'ref $n') x"), trace($n), "$road: both views show it");
}

sql("SELECT line_notify.pause('shop')");
my ($sent, $cancelled) = (put(), put());
my $expired = put();
note_row($_) for $sent, $cancelled, $expired;
sql("SELECT line_notify.cancel(reference => 'ref $cancelled')");
kept($cancelled, 'cancelled');
sql("SELECT line_notify.reschedule(reference => 'ref $expired', send_after => now(), expires_at => now() + interval '1 second')");
holds('expired', "SELECT state = 'expired' FROM line_notify.history WHERE reference = 'ref $expired'");
kept($expired, 'expired');
sql("SELECT line_notify.redrive(reference => 'ref $expired')");
kept($expired, 'redriven', 'outbox');
sql("SELECT line_notify.resume('shop')");
holds('sent', "SELECT count(*) = 2 FROM line_notify.history WHERE reference IN ('ref $sent', 'ref $expired') AND state = 'accepted'");
kept($sent, 'sent');
kept($expired, 'sent after redrive');
is(sql("SELECT request_id IS NOT NULL AND request_id = (SELECT request_id FROM line_notify.attempts a WHERE a.id = n.id AND a.traceparent = n.traceparent)
	FROM line_notify.notifications n WHERE traceparent = '" . trace($sent) . "'"), 't', "a trace leads to LINE's request id");
is(sql("SELECT count(*) FROM line_notify.attempts WHERE traceparent = '" . trace($expired) . "'"), 2, 'both lives of a redriven one');

# nothing of it goes to LINE
unlike(join('', map { $_->{body} // '' } $sim->requests), qr/traceparent|@{[ sprintf '%032x', 7 ]}/, 'no request has it in its body');

# tried again
$sim->script_only({ match => { path => 'send' }, times => 1, answer => { status => 429, headers => { 'Retry-After' => 1 } } });
sql("SELECT line_notify.pause('shop')");
my $retried = put();
note_row($retried);
sql("SELECT line_notify.resume('shop')");
holds('answered 429', "SELECT count(*) = 1 FROM line_notify.attempts WHERE traceparent = '" . trace($retried) . "' AND outcome = 'throttled'");
holds('then sent', "SELECT count(*) = 2 FROM line_notify.attempts WHERE traceparent = '" . trace($retried) . "' AND ended_at IS NOT NULL");
kept($retried, 'tried again');

# invalid: at once
my $invalid = put(region => "'TH'", expires_at => "now() + interval '1 hour'");
holds('invalid', "SELECT state = 'invalid' FROM line_notify.history WHERE reference = 'ref $invalid'");
is(sql("SELECT traceparent FROM line_notify.history WHERE reference = 'ref $invalid'"), trace($invalid), 'invalid: the trace is kept');

# refused by the tables: ended, and to go back to the queue
sql("ALTER TABLE line_notify.history ADD CONSTRAINT picky CHECK (priority <> 3) NOT VALID; SELECT line_notify.pause('shop')");
my $aside = put();
note_row($aside);
sql("SELECT line_notify.resume('shop')");
holds('set aside', 'SELECT count(*) = 1 FROM line_notify.set_aside');
is(sql("SELECT string_agg(v, ' ') FROM (SELECT 'notifications ' || state AS v FROM line_notify.notifications WHERE traceparent = '@{[ trace($aside) ]}'
	UNION ALL SELECT 'messages ' || state FROM line_notify.messages WHERE traceparent = '@{[ trace($aside) ]}'
	UNION ALL SELECT 'attempts ' || outcome FROM line_notify.attempts WHERE traceparent = '@{[ trace($aside) ]}') x"),
	'notifications accepted messages accepted attempts accepted', 'set aside: all three views have it');
is(sql("INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key) VALUES ('09012345678', 'parcel_delivery', 'shipment_completed_ja', 'd $aside') RETURNING state"),
	'accepted', 'and a duplicate of it gets its state');
my $error;
$node->psql('postgres', "UPDATE line_notify.messages SET body = '{\"items\": []}' WHERE traceparent = '@{[ trace($aside) ]}'", stderr => \$error);
like($error, qr/column "body" of a message cannot be changed/, 'its content cannot be changed');
sql('ALTER TABLE line_notify.history DROP CONSTRAINT picky; SELECT line_notify.record_set_aside()');
holds('recorded, by us or by the worker', 'SELECT count(*) = 0 FROM line_notify.set_aside');
kept($aside, 'set aside');
is(sql("SELECT count(*) FROM line_notify.attempts WHERE traceparent = '@{[ trace($aside) ]}'"), 1, 'its attempt is shown once');

sql("ALTER TABLE line_notify.attempt_log ADD CONSTRAINT never CHECK (outcome = 'x') NOT VALID; SELECT line_notify.pause('shop')");
my $back = put();
note_row($back);
$sim->script_only({ match => { path => 'send' }, times => 1, answer => { status => 429, headers => { 'Retry-After' => 1 } } });
sql("SELECT line_notify.resume('shop')");
holds('set aside, to be sent again', 'SELECT count(*) = 1 FROM line_notify.set_aside WHERE state IS NULL');
sql("SELECT line_notify.pause('shop'); ALTER TABLE line_notify.attempt_log DROP CONSTRAINT never; SELECT line_notify.record_set_aside()");
holds('back, by us or by the worker', 'SELECT count(*) = 0 FROM line_notify.set_aside');
kept($back, 'set aside and back in the queue', 'outbox');

# the event of an attempt comes while the message waits for another
my $told = put();
note_row($told);
sql("INSERT INTO line_notify.attempt_log (id, attempt, token, ended_at, outcome) SELECT id, 1, 4711, now(), 'ambiguous' FROM line_notify.outbox WHERE reference = 'ref $told';
INSERT INTO line_notify.webhook_event (channel, event_id, type, message_id, attempt, token, event_at)
SELECT 'shop', 'e', 'delivery', id, 1, 4711, now() FROM line_notify.outbox WHERE reference = 'ref $told';
SELECT line_notify._wake()");
holds('delivered first', "SELECT state = 'delivered' FROM line_notify.history WHERE reference = 'ref $told'");
kept($told, 'delivered while it waited');

# the spans of doc/clients.md: one for each attempt, below the order's
my ($spans) = slurp_file("$ENV{LN_SRC}/doc/clients.md") =~ /^```sql\n(SELECT jsonb_build_object\('resourceSpans'.*?)^```/ms or die 'no spans in doc/clients.md';
is(sql(qq{SELECT count(*), count(DISTINCT s ->> 'spanId'), bool_and(s ->> 'traceId' ~ '^[0-9a-f]{32}\$' AND s ->> 'parentSpanId' ~ '^[0-9a-f]{16}\$'
	AND s ->> 'spanId' ~ '^[0-9a-f]{16}\$' AND (s ->> 'startTimeUnixNano')::numeric <= (s ->> 'endTimeUnixNano')::numeric
	AND (s ->> 'endTimeUnixNano')::numeric BETWEEN extract(epoch FROM now() - interval '1 hour') * 1e9 AND extract(epoch FROM now()) * 1e9),
	count(*) FILTER (WHERE s ->> 'parentSpanId' = '@{[ substr(trace($retried), 36, 16) ]}')
FROM ($spans) o, jsonb_array_elements(spans #> '{resourceSpans,0,scopeSpans,0,spans}') s}),
	sql('SELECT count(*) FROM line_notify.attempts WHERE traceparent IS NOT NULL') =~ s/(.*)/$1|$1|t|2/r, 'its attempts as spans');

# erased with the person: it leads to who did what, and when
is(sql("SELECT line_notify.forget_recipient('090-1000-0001'); SELECT count(*) FROM line_notify.notifications WHERE traceparent = '@{[ trace($sent) ]}'"), "1\n0",
	'forget_recipient() erases it');

$node->stop;
$sim->stop;
done_testing();
