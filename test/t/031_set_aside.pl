# What the tables refuse to record does not stop the channel, nor the rescue
# after kill -9: it goes aside, health() says so, and it comes back.  TAP: a
# worker, and one that is killed.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use LineNotify::Node;
use LineNotify::Sim;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', restart_after_crash => 'on');
$node->install('postgres', $sim);
my $aside = sub { $node->poll_query_until('postgres', "SELECT count(*) = $_[0] FROM line_notify.set_aside") };
my $accepted = sub {
	$node->poll_query_until('postgres', "SELECT count(*) = $_[0] FROM line_notify.history WHERE state = 'accepted' AND reference ~ '$_[1]'");
};
my $health = sub { $node->health('postgres', "reason ~ 'cannot be recorded'") };

# each kind of obstacle that the owner of a database can lay in our way
my @obstacles = (
	[ 'a CHECK on history', "ALTER TABLE line_notify.history ADD CONSTRAINT picky CHECK (reference !~ 'odd') NOT VALID",
		'ALTER TABLE line_notify.history DROP CONSTRAINT picky' ],
	[ 'a trigger that raises', q{
CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER raise BEFORE INSERT ON line_notify.history FOR EACH ROW WHEN (NEW.reference ~ 'odd') EXECUTE FUNCTION raise()},
		'DROP FUNCTION raise CASCADE' ],
	[ 'a foreign key', q{
CREATE TABLE known (reference text PRIMARY KEY);
INSERT INTO known SELECT 'even ' || i FROM generate_series(1, 1000) i UNION SELECT reference FROM line_notify.history;
ALTER TABLE line_notify.history ADD CONSTRAINT known FOREIGN KEY (reference) REFERENCES known},
		'DROP TABLE known CASCADE' ],
	[ 'NOT NULL', q{ALTER TABLE line_notify.history ADD CONSTRAINT filled CHECK (order_key IS NOT NULL OR reference !~ 'odd') NOT VALID},
		'ALTER TABLE line_notify.history DROP CONSTRAINT filled' ],
);
sub put { $node->safe_psql('postgres', $node->insert_sql($_[1], first => $_[0]) =~ s/'ref ' \|\| i/CASE i % 4 WHEN 0 THEN 'odd ' ELSE 'even ' END || i/r) }

# what ever went aside
$node->safe_psql('postgres', q{
CREATE TABLE went (reference text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.went VALUES (NEW.message ->> 'reference'); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT ON line_notify.set_aside FOR EACH ROW EXECUTE FUNCTION note();
ALTER TABLE line_notify.set_aside ENABLE ALWAYS TRIGGER note});

my $at = 0;
for my $o (@obstacles)
{
	$node->safe_psql('postgres', $o->[1]);
	put($at + 1, 12);
	ok($accepted->(9, sprintf('^even (%s)$', join '|', $at + 1 .. $at + 12)), "$o->[0]: the others are recorded");
	ok($aside->(3), "$o->[0]: three go aside");
	is($node->safe_psql('postgres', "SELECT count(*) FROM went WHERE reference ~ '^even'"), 0, "$o->[0]: and none of the others did on its way");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.in_flight'), 0, "$o->[0]: nothing stays in flight");
	like($health->(), qr/^error\|[^|]*\|3 outcomes/, "$o->[0]: health() says so");
	is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.notifications WHERE state = 'accepted' AND channel = 'shop' AND sent_at IS NOT NULL AND error LIKE 'not recorded yet: % with SQLSTATE _____'"),
		3, "$o->[0]: view notifications has them, and says why");
	$node->safe_psql('postgres', $o->[2]);
	$node->safe_psql('postgres', 'SELECT line_notify.record_set_aside()');
	ok($accepted->(12, sprintf('^(odd|even) (%s)$', join '|', $at + 1 .. $at + 12)), "$o->[0]: gone, all are recorded");
	is($health->(), '', "$o->[0]: health() is content again");
	$at += 12;
}
is($sim->summary->{messages}{received_twice}, 0, 'nothing was sent twice');
is($node->safe_psql('postgres', "SELECT count(*) FROM went WHERE reference ~ '^odd'"), 3 * @obstacles, 'what went aside was seen');
$node->safe_psql('postgres', 'DROP TRIGGER note ON line_notify.set_aside');

# the count of the day refuses all of them
$node->safe_psql('postgres', 'ALTER TABLE line_notify.daily_sent ADD CONSTRAINT few CHECK (sent < 0) NOT VALID');
put($at + 1, 4);
ok($aside->(4), 'what cannot be counted for the day goes aside');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.in_flight'), 0, 'nothing stays in flight');
$node->safe_psql('postgres', 'ALTER TABLE line_notify.daily_sent DROP CONSTRAINT few');
ok($accepted->(4, sprintf('^(odd|even) (%s)$', join '|', $at + 1 .. $at + 4)), 'and is recorded');
$at += 4;

# what ends without being sent: others end beside it, also at the same moment
$node->safe_psql('postgres', "SELECT line_notify.pause('shop'); $obstacles[0][1]");
my $expired = sub {
	$node->poll_query_until('postgres', "SELECT count(*) = $_[0] FROM line_notify.history WHERE state = 'expired' AND error ~ 'waiting for: channel paused'");
};
$node->safe_psql('postgres', $node->insert_sql(12, first => $at + 1, set => { expires_at => "now() + interval '2 seconds'" })
	=~ s/'ref ' \|\| i/CASE i % 12 WHEN 0 THEN 'odd ' ELSE 'even ' END || i/r);
ok($expired->(11), 'one message that cannot end keeps no other from that');
ok($aside->(1), 'it goes aside');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.outbox'), 0, 'and does not wait any more');
like($health->(), qr/^error\|[^|]*\|1 outcomes/, 'health() says so');
$node->safe_psql('postgres', $obstacles[0][2]);
ok($expired->(12), 'the obstacle gone, it ends as the others');
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
$at += 12;

# what events say of a message: others learn of theirs, and of what comes later
my $events = sub {
	my ($n, $new) = ($_[0], 0);
	$sim->wait_until(sub { ($new += $node->deliver_webhooks('postgres', $sim)) >= $n }, 60) or die 'no events';
};
my $delivered = sub { $node->poll_query_until('postgres', "SELECT count(*) = $_[0] FROM line_notify.history WHERE state = 'delivered' AND reference ~ '$_[1]'") };
$sim->webhooks;
put($at + 1, 12);
ok($accepted->(12, sprintf('^(odd|even) (%s)$', join '|', $at + 1 .. $at + 12)), 'sent, with events to come');
$node->safe_psql('postgres', "ALTER TABLE line_notify.history ADD CONSTRAINT stays CHECK (state <> 'delivered' OR reference !~ 'odd') NOT VALID");
$events->(12);
ok($delivered->(9, sprintf('^even (%s)$', join '|', $at + 1 .. $at + 12)), 'events that the tables refuse keep no other from being folded');
is($node->safe_psql('postgres', 'SELECT count(*), string_agg(DISTINCT why, $$ $$) FROM line_notify.webhook_event'), '3|23514', 'they stay');
like($node->health('postgres', "reason ~ 'delivery events'"), qr/^error\|database\|what 3 delivery events say/, 'health() says so');
put($at + 21, 2);
$events->(2);
ok($delivered->(2, sprintf('^even (%s)$', join '|', $at + 21, $at + 22)), 'nor those that come later');
$node->safe_psql('postgres', 'ALTER TABLE line_notify.history DROP CONSTRAINT stays');
ok($delivered->(3, sprintf('^odd (%s)$', join '|', $at + 1 .. $at + 12)), 'the obstacle gone, they are folded');
is($node->health('postgres', "reason ~ 'delivery events'"), '', 'health() is content again');
$at += 24;

# the worker itself tries again
$node->safe_psql('postgres', $obstacles[0][1]);
put($at + 1, 4);
$aside->(1) or die 'not aside';
$node->safe_psql('postgres', $obstacles[0][2]);
ok($aside->(0), 'the worker tries again by itself');
ok($accepted->(1, '^odd ' . ($at + 4) . '$'), 'and records it');
$at += 4;

# what goes back to the queue, refused by the log of attempts
$node->safe_psql('postgres', q{ALTER TABLE line_notify.attempt_log ADD CONSTRAINT never CHECK (outcome = 'x') NOT VALID});
$sim->script_only({ match => { path => 'send' }, times => 1, answer => { status => 429, headers => { 'Retry-After' => 1 } } });
put($at + 1, 1);
ok($aside->(1), 'an attempt that cannot be logged goes aside');
$sim->script_only();
$node->safe_psql('postgres', 'ALTER TABLE line_notify.attempt_log DROP CONSTRAINT never; SELECT line_notify.record_set_aside()');
ok($accepted->(1, '^even ' . ($at + 1) . '$'), 'comes back, and is sent again');
$at += 4;

# two messages under one id, however that came about
$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
my ($id) = $node->safe_psql('postgres', $node->insert_sql(1, first => 900) . ' RETURNING id');
$node->safe_psql('postgres', "
INSERT INTO line_notify.history (id, channel, state, created_at, ended_at) SELECT $id, 'shop', 'accepted', now(), now();
SELECT line_notify.resume('shop')");
ok($aside->(1), 'the second of an id goes aside');
$node->safe_psql('postgres', 'SELECT line_notify.record_set_aside()');
ok($node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.history WHERE reference = 'ref 900'"), 'the second of an id is recorded');
like($node->safe_psql('postgres', "SELECT id <> $id AND error = 'its id was $id, which another message has, too' FROM line_notify.history WHERE reference = 'ref 900'"),
	qr/^t$/, 'under an id of its own');
is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.history WHERE id = $id"), 1, 'and the first stays');

# kill -9 with one such row among others: the others are rescued
$node->safe_psql('postgres', $obstacles[0][1]);
$sim->script_only({ match => { path => 'send' }, at => 'body', do => [ { delay => 600 }, 'answer' ] });
my $range = join '|', $at + 1 .. $at + 20;
put($at + 1, 20);
$node->poll_query_until('postgres', 'SELECT count(*) = 20 FROM line_notify.in_flight') or die 'not claimed';
# for those that come after, not for what it holds up already
$sim->script_only();
kill 'KILL', $node->worker_pid('postgres');
$node->poll_query_until('postgres', 'SELECT true') or die;
# the delivery that the script held up is unknown; what was not sent yet is sent now
ok($node->poll_query_until('postgres', "SELECT count(*) = 15 FROM line_notify.history WHERE reference ~ '^even ($range)\$'"), 'after kill -9, rows beside refused ones are rescued');
ok($aside->(5), 'those go aside');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.in_flight'), 0, 'nothing stays in flight');
put($at + 101, 1);
ok($accepted->(1, '^even ' . ($at + 101) . '$'), 'the channel goes on');
$node->safe_psql('postgres', $obstacles[0][2] . '; SELECT line_notify.record_set_aside()');
ok($node->poll_query_until('postgres', "SELECT count(*) = 20 FROM line_notify.history WHERE reference ~ '^(odd|even) ($range)\$'"), 'and they are recorded, too');
is($sim->summary->{messages}{received_twice}, 1, 'nothing was sent twice but what was answered 429');

# Many that are refused do not keep others from being recorded, nor does a pass
# that records as many as it takes end the passes
# (with a partition, which each that is refused would make and take back)
$node->safe_psql('postgres', q{
SELECT line_notify._ensure_history(7000000);
INSERT INTO line_notify.set_aside (id, attempt, state, ended_at, message, at)
SELECT 7000000 + i, 1, 'nonsense', now(), '{"channel": "shop"}', now() - interval '1 hour' FROM generate_series(1, 510) i;
INSERT INTO line_notify.set_aside (id, attempt, state, ended_at, message)
SELECT 7001000 + i, 1, 'accepted', now(), '{"channel": "shop"}' FROM generate_series(1, 1100) i});
$node->safe_psql('postgres', $obstacles[0][1]);
put($at + 201, 4);
ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM line_notify.set_aside WHERE id < 7000000'), 'one of the worker goes aside');
# a worker that starts tries at once
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . $node->worker_pid('postgres') . ')');
ok($aside->(511), 'behind 500 outcomes that are refused, others are recorded');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.set_aside WHERE tried_at IS NULL'), 0, 'each was tried');
$node->safe_psql('postgres', "$obstacles[0][2]; DELETE FROM line_notify.set_aside WHERE state = 'nonsense'; SELECT line_notify.record_set_aside()");
ok($aside->(0), 'and the one of the worker is recorded at last');
# in one transaction: the worker may be about to try
is($node->safe_psql('postgres', q{
BEGIN;
INSERT INTO line_notify.set_aside (id, attempt, token, outcome, ended_at, retry_at, consume, ambiguous, logged, http_status, request_id, error)
VALUES (7100000, 1, 1, 'throttled', now(), now(), true, false, true, 0, '', '');
SELECT * FROM line_notify.record_set_aside();
COMMIT}), '1|0', 'of a message that somebody deleted, nothing returns to the queue');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.attempt_log WHERE id = 7100000 AND num_nulls(http_status, request_id, error) = 3'), 1,
	'its attempt is logged as any other');

# erased while aside: nothing that points to the person is left, here and elsewhere,
# and what would have gone back to the queue ends, which can be recorded
my ($erased, $left, $recorded, $ended) = split /\n/, $node->safe_psql('postgres', q{
BEGIN;
INSERT INTO line_notify.set_aside (id, attempt, token, state, outcome, ended_at, retry_at, consume, ambiguous, logged, error, message)
SELECT x.id, 1, 1, x.state, 'throttled', now(), now(), true, x.ambiguous, true, 'x', jsonb_build_object('recipient', line_notify.phone_hash('09012345678'),
	'channel', 'shop', 'body', 'x', 'reference', 'mine ' || x.id, 'dedup_key', 'mine ' || x.id, 'order_key', 'mine ' || x.id, 'traceparent', 'mine ' || x.id, 'maybe_sent', x.before, 'created_at', now())
FROM (VALUES (7200001, NULL, false, false), (7200002, NULL, true, false), (7200003, NULL, false, true), (7200004, 'accepted', false, false)) x(id, state, ambiguous, before);
INSERT INTO line_notify.dedup SELECT 'shop', s.message ->> 'dedup_key', s.id, now() + interval '1 day' FROM line_notify.set_aside s;
INSERT INTO line_notify.attempt_log (id, attempt, token, ended_at, outcome, error) SELECT s.id, 0, 0, now(), 'not_sent', 'x' FROM line_notify.set_aside s;
SELECT line_notify.find_notifications(reference => 'mine 7200001') \g /dev/null
SELECT line_notify.forget_recipient('09012345678');
SELECT (SELECT string_agg(to_jsonb(s)::text, '') FROM line_notify.set_aside s) ~ 'mine|recipient|body' OR (SELECT bool_or(s.error IS NOT NULL) FROM line_notify.set_aside s),
	(SELECT count(*) FROM line_notify.dedup WHERE id > 7200000), (SELECT count(*) FROM line_notify.operations WHERE filter ->> 'reference' ~ 'mine'),
	(SELECT count(error) FROM line_notify.attempt_log WHERE id > 7200000);
SELECT * FROM line_notify.record_set_aside();
SELECT string_agg(state::text, ' ' ORDER BY id) FROM line_notify.history WHERE id > 7200000;
COMMIT});
is($erased, 4, 'forget_recipient() counts what is aside');
is($left, 'f|0|0|0', 'and erases all of it');
is($recorded, '4|0', 'it can be recorded');
is($ended, 'cancelled unknown unknown accepted', 'and has ended');

# kept no longer than if it had been recorded: content, then all of it; what would
# go back to the queue, from its expiry on
is($node->safe_psql('postgres', "BEGIN; $obstacles[0][1]; " . q{
INSERT INTO line_notify.set_aside (id, attempt, token, state, outcome, ended_at, retry_at, consume, ambiguous, logged, message)
SELECT 7300000 + x.n, 1, 1, x.state, 'throttled', now() - x.age, now(), true, x.ambiguous, false, jsonb_build_object('channel', 'shop', 'template_key', 't', 'body', 'secret',
	'messages', NULL, 'reference', 'odd ' || x.n, 'expires_at', now() - x.expired, 'created_at', now() - interval '1 year')
FROM (VALUES (1, 'accepted', interval '40 days', interval '0', false), (2, 'accepted', '10 days', '0', false), (3, 'accepted', '1 day', '0', false),
	(4, NULL, '40 days', '-1 day', false), (5, NULL, '40 days', '10 days', false), (6, NULL, '40 days', '10 days', true), (7, NULL, '40 days', '40 days', false)) x(n, state, age, expired, ambiguous);
SELECT line_notify._maintain_next('30 days', '7 days', NULL) < now() + interval '1 minute';
COMMIT}), 't', 'maintenance has to come');
$node->append_conf('postgresql.conf', 'line_notify.retention = 30d');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.set_aside WHERE id IN (7300001, 7300007)}), 'what is aside goes after retention');
ok($node->poll_query_until('postgres', q{SELECT string_agg(id % 10 || coalesce(' ' || state, '') || CASE WHEN message ? 'body' THEN ' with content' ELSE '' END, ', ' ORDER BY id)
	= '2 accepted, 3 accepted with content, 4 with content, 5 expired, 6 unknown' FROM line_notify.set_aside WHERE id > 7300000}), 'its content after payload_retention')
  or diag($node->safe_psql('postgres', 'SELECT id, state, message FROM line_notify.set_aside'));

$node->stop;
$sim->stop;
done_testing();
