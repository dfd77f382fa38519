# Whatever order events come in, and however often, each counts once; events
# without our tag, of other types and of nonsense do no harm; silence becomes
# "undelivered" only where other events were arriving.  TAP: worker and time.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
my $n = 0;
my $event_number = 0;
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub message { $node->insert('postgres', 1, first => ++$n); return "ref $n"; }
sub state { return sql("SELECT state FROM line_notify.notifications WHERE reference = '$_[0]'"); }
sub becomes
{
	my ($ref, $want, $name) = @_;
	ok($node->poll_query_until('postgres', "SELECT state FROM line_notify.notifications WHERE reference = '$ref'", $want), $name);
}
sub folded { $node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.webhook_event') or die; }

# a signed body of events, each a hash reference or a tag
sub post
{
	my @events = map {
		{ webhookEventId => sprintf('01EVENT%019d', ++$event_number), mode => 'active', timestamp => int(Time::HiRes::time() * 1000),
			ref $_ ? %$_ : (type => 'delivery', delivery => { data => $_ }) } } @_;
	my $hook = $sim->emit(\@events);
	my $hex = unpack 'H*', $hook->[0];
	return "line_notify.receive_webhook('shop', '\\x$hex', '$hook->[1]')";
}
sub verified { return sql("SELECT line_notify.receive_verified_events('shop', \$x\$$_[0]\$x\$)"); }
sub event
{
	my ($data, %more) = @_;
	my $id = $more{id} // sprintf('01EVENT%019d', ++$event_number);
	my $at = $more{at} // int(Time::HiRes::time() * 1000);
	return qq({"type":"delivery","delivery":{"data":"$data"},"webhookEventId":"$id","deliveryContext":{"isRedelivery":false},"timestamp":$at,"mode":"active"});
}
sub last_tag { return ($sim->requests(path => 'send'))[-1]{tag}; }

$sim->set_recipients(default => 'blocked');

# --- types and shapes that mean nothing to us
becomes(my $ref = message(), 'accepted', 'a message');
my $tag = last_tag();
is(verified('{"events":[]}'), 0, 'no events');
for my $body ('{}', '[]', '"x"', '1', 'null', '{"events":null}', '{"events":{}}', '{"events":"x"}')
{
	my ($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.receive_verified_events('shop', '$body')");
	like($err, qr/no array "events"/, "$body is no webhook body");
}
is(verified('{"events":[' . join(',',
		'null', 1, '"x"', '[]', '{}', '{"type":1}', '{"type":"delivery"}', '{"type":"delivery","webhookEventId":""}',
		'{"type":"delivery","webhookEventId":"a","delivery":1}',
		'{"type":"delivery","webhookEventId":"b","delivery":{"data":7}}',
		qq({"type":"delivery","webhookEventId":"c","delivery":{"data":"$tag"},"timestamp":1e400}),
		qq({"type":"delivery","webhookEventId":"d","delivery":{"data":"$tag"},"timestamp":-1}),
		'{"type":"delivery","webhookEventId":"e","delivery":{"data":"somebody-elses-tag"},"timestamp":1750000000000}',
		'{"type":"message","webhookEventId":"f","message":{"text":"hello"}}',
		event($tag, id => 'x' x 65)) . ']}'),
	0, 'nothing of this is an event of ours');
is(state($ref), 'accepted', 'and the message stays as it is');

# --- the event's own time counts, once
my $at = int(Time::HiRes::time() * 1000) - 5000;
is(verified('{"events":[' . event($tag, id => 'once', at => $at) . ',' . event($tag, id => 'once', at => $at + 1) . ']}'), 1,
	'the same event twice in one body is one');
becomes($ref, 'delivered', 'the message is delivered');
is(sql("SELECT (extract(epoch FROM delivered_at) * 1000)::bigint FROM line_notify.notifications WHERE reference = '$ref'"), $at,
	'at the time of the event');
is(verified('{"events":[' . event($tag, id => 'once', at => $at) . ']}'), 0, 'a redelivery is not new');
verified('{"events":[' . event($tag, id => 'another', at => $at + 60000) . ']}');
folded();
is(sql("SELECT (extract(epoch FROM delivered_at) * 1000)::bigint FROM line_notify.notifications WHERE reference = '$ref'"), $at,
	'a second event about it changes nothing');

# --- an event with the right number and the wrong secret part
becomes($ref = message(), 'accepted', 'another message');
(my $forged = last_tag()) =~ s/(.{6})$/reverse $1/e;
verified('{"events":[' . event($forged) . ']}');
folded();
is(state($ref), 'accepted', 'a tag with another token is not ours');

# --- untagged: by recipient, the oldest that waits, each event one message
$sim->reset;
$sim->set_recipients(default => 'blocked');
my $hash = sql("SELECT line_notify.phone_hash('090-7777-0001')");
for my $i (1 .. 2)
{
	sql(qq{INSERT INTO line_notify.outbox (phone, use_case, template_key, body, reference) VALUES
		('090-7777-0001', 'parcel_delivery', 'shipment_completed_ja', '{}', 'same $i')});
	becomes("same $i", 'accepted', "message $i to one person");
}
is(verified('{"events":[' . event($hash, id => 'u1') . ']}'), 1, 'an untagged event');
becomes('same 1', 'delivered', 'is about the older message');
verified('{"events":[' . event($hash, id => 'u1') . ']}');
folded();
is(state('same 2'), 'accepted', 'its redelivery is not about the next one');
verified('{"events":[' . event($hash, id => 'u2') . ',' . event('0' x 64, id => 'u3') . ']}');
becomes('same 2', 'delivered', 'the second event is about the second message');

# --- overtaking: the event is folded before the answer is there
$sim->script({ match => { path => 'send' }, do => 'hold', times => 1 });
$ref = message();
$sim->wait_until(sub { $sim->requests(path => 'send') >= 3 }, 60) or die;
verified('{"events":[' . event(last_tag()) . ']}');
folded();
is(sql('SELECT count(*) FROM line_notify.in_flight'), 1, 'a message is on its way');
$sim->clear_script;
becomes($ref, 'delivered', 'an event that overtakes the answer is not lost');

# the same without our tag
$sim->script({ match => { path => 'send' }, do => 'hold', times => 1 });
sql(q{INSERT INTO line_notify.outbox (phone, use_case, template_key, body, reference) VALUES
	('090-7777-0002', 'parcel_delivery', 'shipment_completed_ja', '{}', 'early')});
$sim->wait_until(sub { $sim->requests(path => 'send') >= 4 }, 60) or die;
verified('{"events":[' . event(sql("SELECT line_notify.phone_hash('090-7777-0002')")) . ']}');
is(sql("SELECT count(*) FROM line_notify.in_flight JOIN line_notify.outbox USING (id) WHERE reference = 'early'"), 1, 'another one');
$sim->clear_script;
becomes('early', 'delivered', 'an untagged event that overtakes the answer is not lost');
folded();

# --- several events about one attempt, in one call: the first one counts, and
# the others, one after the other, do not keep the worker for as many seconds
becomes($ref = message(), 'accepted', 'a message');
$tag = last_tag();
$at = int(Time::HiRes::time() * 1000) - 5000;
is(verified('{"events":[' . join(',', map { event($tag, id => "of many $_", at => $at + $_) } 0 .. 199) . ']}'), 200, 'two hundred of them');
folded();
is(sql("SELECT (extract(epoch FROM delivered_at) * 1000)::bigint FROM line_notify.notifications WHERE reference = '$ref'"), $at, 'the first one counts');

# --- follow and unfollow are counted, nothing of them is kept
is(sql('SELECT ' . post({ type => 'follow', source => { userId => 'U1' } }, { type => 'unfollow', source => { userId => 'U1' } },
		{ type => 'follow', source => { userId => 'U2' } })), 3, 'follow and unfollow');
folded();
is(sql("SELECT string_agg(outcome || ' ' || messages, ', ' ORDER BY outcome) FROM line_notify.daily_totals WHERE kind = 'account'"),
	'elsewhere 1, follow 2, unfollow 1', 'are counted, and the event with another token');
my $again = '{"events":[{"type":"follow","webhookEventId":"followed-once","timestamp":' . int(Time::HiRes::time() * 1000) . '}]}';
is(verified($again), 1, 'another one');
folded();
is(verified($again), 0, 'delivered again after it was folded: not new');
sql("INSERT INTO line_notify.webhook_event (channel, event_id, type, event_at) VALUES ('shop', 'followed-once', 'follow', now())");
sql("SELECT line_notify.alter_channel('shop', rate_limit => 2000)");
is(verified('{"events":[{"type":"unfollow","webhookEventId":"wakes","timestamp":' . int(Time::HiRes::time() * 1000) . '}]}'), 1, 'and if two calls race');
folded();
is(sql("SELECT string_agg(outcome || ' ' || messages, ', ' ORDER BY outcome) FROM line_notify.daily_totals WHERE kind = 'account'"),
	'elsewhere 1, follow 3, unfollow 2', 'each is counted once');
is(sql("SELECT count(*) FROM line_notify.seen_event WHERE event_id ~ '^U'"), 0, 'the users are not kept');

# --- 1,000 events in one call
$node->insert('postgres', 1000, first => 1001);
ok($node->poll_query_until('postgres', "SELECT count(*) = 1000 FROM line_notify.notifications WHERE state = 'accepted' AND created_at > now() - interval '1 minute' AND id > (SELECT id FROM line_notify.notifications WHERE reference = '$ref')"), '1,000 messages');
my %tags = map { $_->{tag} => 1 } $sim->requests(path => 'send');
my @tags = sort keys %tags;
@tags = @tags[ -1000 .. -1 ];
my $call = post(@tags);
my $ms = sql("SET client_min_messages = warning; CREATE TEMP TABLE t AS SELECT clock_timestamp() AS t0;
	SELECT $call;
	SELECT round(extract(epoch FROM clock_timestamp() - t0) * 1000) FROM t");
diag("1,000 events in one call: " . (split /\n/, $ms)[-1] . " ms");
like($ms, qr/^(998|999|1000)\n/, 'all new');
ok($node->poll_query_until('postgres', "SELECT count(*) >= 998 FROM line_notify.notifications WHERE state = 'delivered' AND created_at > now() - interval '2 minutes'"),
	'and folded');

# --- totals agree with the messages
ok($node->poll_query_until('postgres', q{
	SELECT (SELECT sum(messages) FROM line_notify.daily_totals WHERE outcome = 'delivered')
		 = (SELECT count(*) FROM line_notify.notifications WHERE state = 'delivered')
	   AND (SELECT sum(messages) FROM line_notify.daily_totals WHERE outcome = 'accepted')
		 = (SELECT count(*) FROM line_notify.notifications WHERE state IN ('accepted', 'delivered'))}),
	'daily_totals has what the messages say');

$node->stop;
$sim->stop;
done_testing();
