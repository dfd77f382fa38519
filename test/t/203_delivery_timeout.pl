# Silence becomes "undelivered" only where delivery events of other messages
# were arriving; without such evidence the message stays accepted and health()
# shows the gap; a late event still wins.  Totals survive the messages and a
# restore does not count them twice.  What the tables refuse stops no other channel.  TAP: worker, and time scaled by a setting.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.delivery_timeout' => 3);
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }

# nobody hears anything: no evidence, no verdict
$sim->set_recipients(default => 'blocked');
$node->insert('postgres', 3);
$node->wait_states('postgres', accepted => 3);
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.sweep_mark WHERE settled > (SELECT max(ended_at) FROM line_notify.history)"),
	'the time of silence is over');
is(sql("SELECT count(*) FROM line_notify.notifications WHERE state = 'accepted'"), 3, 'no evidence: they stay accepted');

# nor is it told to those who want to know sooner: a webhook that is not connected
# would send everybody an SMS
sub move { sql("UPDATE line_notify.minute_count SET minute = minute - interval '$_[0]'; UPDATE line_notify.history SET ended_at = ended_at - interval '$_[0]'"); }
sub unconfirmed { return sql("SELECT count(*) FROM line_notify.outcome WHERE outcome = 'unconfirmed'"); }
move('10 minutes');
sql("SELECT line_notify.alter_channel('shop', confirm_within => '1 s')");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.channel WHERE confirm_within IS NOT NULL"), 'confirm_within is set');
is(unconfirmed(), 0, 'an event of a neighbour may still come');
move('20 minutes');
sql("SELECT line_notify.alter_channel('shop', confirm_within => '2 s')");
ok($node->poll_query_until('postgres', 'SELECT withheld IS NOT NULL FROM line_notify.sweep_mark'), 'none came: withheld');
is(unconfirmed(), 0, 'nobody is told');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.health() WHERE severity = 'error' AND reason LIKE '3 messages % not handed out as unconfirmed%' AND hint LIKE '%on_silence%'"),
	'health() is loud');
sql("SELECT line_notify.alter_channel('shop', on_silence => 'unconfirmed')");
ok($node->poll_query_until('postgres', "SELECT count(*) = 3 FROM line_notify.outcome WHERE outcome = 'unconfirmed'"), 'an operator releases them');
is(sql("SELECT count(*) FROM line_notify.health() WHERE severity IN ('error', 'warning') AND reason ~ 'unconfirmed|delivery event'"), 0, 'and health() is quiet');
sql("SELECT line_notify.alter_channel('shop', on_silence => 'withhold', confirm_within => '1 s')");
is(sql("SELECT count(*) FROM line_notify.take_outcomes(states => '{unconfirmed}')"), 3, 'each is told once');
sql("SELECT line_notify.alter_channel('shop', confirm_within => '0')");

sql("UPDATE line_notify.minute_count SET minute = minute - interval '1 hour'");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.health() WHERE reason LIKE 'no delivery event came for 3 messages%'"),
	'health() shows the gap');
sql("UPDATE line_notify.minute_count SET minute = minute - interval '30 days'");

# one of six is told as delivered: that is evidence
$sim->set_recipients('+819010000011' => 'reachable');
$node->insert('postgres', 6, first => 11);
$node->wait_states('postgres', accepted => 9);
$sim->wait_webhooks(1, 10) or die;
$node->deliver_webhooks('postgres', $sim);
$node->wait_states('postgres', accepted => 3, delivered => 1, undelivered => 5);
ok(1, 'with evidence, silence means undelivered');

# a late event still wins
my $told = sql("SELECT line_notify.phone_hash('+819010000011')");
# requests come in any order
my ($r) = grep { $_->{to} ne $told } reverse $sim->requests(path => 'send');
my $tag = $r->{tag};
my $ms = int(time() * 1000);
is(sql(qq{SELECT line_notify.receive_verified_events('shop', '{"events":[{"type":"delivery","delivery":{"data":"$tag"},"webhookEventId":"late","timestamp":$ms}]}')}),
	1, 'a late event');
$node->wait_states('postgres', accepted => 3, delivered => 2, undelivered => 4);
ok(1, 'turns undelivered into delivered');

my $totals = "SELECT string_agg(outcome || ' ' || messages, ', ' ORDER BY outcome) FROM line_notify.daily_totals WHERE kind = 'template'";
ok($node->poll_query_until('postgres', $totals, 'accepted 9, delivered 2, undelivered 4'), 'the totals follow');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 3 FROM line_notify.daily_count'), 'and are summed up');

# dump and restore: the totals are not counted twice
$node->safe_psql('postgres', 'CREATE DATABASE copy');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'dumped');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'copy' ], 'restored');
is($node->safe_psql('copy', $totals), 'accepted 9, delivered 2, undelivered 4', 'the same totals');

# what the tables refuse keeps its own channel only, and that until they take it
sql(sprintf q{SELECT line_notify.create_channel('next', api_base => '%s', line_channel_id => '%s'), line_notify.set_credential('next', 'access_token', '%s')},
	$sim->url, LineNotify::Sim::CHANNEL(), $sim->token);
for my $fault (
	[ '23514', q{ALTER TABLE line_notify.history ADD CONSTRAINT never CHECK (reference IS DISTINCT FROM 'ref 21' OR state <> 'undelivered') NOT VALID},
		'ALTER TABLE line_notify.history DROP CONSTRAINT never' ],
	[ '27000', q{CREATE FUNCTION public.keeps() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN NEW.state = ''undelivered'' THEN OLD ELSE NEW END; END';
		CREATE TRIGGER keeps BEFORE UPDATE ON line_notify.history FOR EACH ROW WHEN (NEW.reference = 'ref 21') EXECUTE FUNCTION public.keeps()},
		'DROP FUNCTION public.keeps() CASCADE' ])
{
	my ($state, $do, $undo) = @$fault;
	my $become = sub { $node->poll_query_until('postgres', "SELECT string_agg(state::text, ' ' ORDER BY reference) = '$_[0]' FROM line_notify.history WHERE reference ~ '^ref (2[123]|31)\$'") };
	sql("DELETE FROM line_notify.history WHERE reference ~ '^ref (2[123]|31)\$'; $do");
	sql(join ';', $node->insert_sql(3, first => 21, set => { channel => "'shop'" }), $node->insert_sql(1, first => 31, set => { channel => "'next'" }));
	$node->poll_query_until('postgres', q{SELECT count(*) = 4 FROM line_notify.history WHERE reference ~ '^ref (2[123]|31)$'}) or die;
	# the evidence: others were heard of
	sql("INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered) SELECT unnest('{shop,next}'::text[]), date_trunc('minute', now()), 1, 1");
	ok($become->('accepted undelivered undelivered undelivered'), "$state: one message is refused, the others are undelivered, of another channel too");
	my $refused = q{SELECT count(*) = %d FROM line_notify.health() WHERE severity = 'error' AND subject = 'channel shop' AND reason = '1 messages cannot become undelivered (SQLSTATE %s), and those after them wait'};
	ok($node->poll_query_until('postgres', sprintf $refused, 1, $state), "$state: health() says so");
	sql($undo);
	ok($become->('undelivered undelivered undelivered undelivered'), "$state: undelivered when the tables take it");
	ok($node->poll_query_until('postgres', sprintf $refused, 0, $state), "$state: and health() is quiet");
}

$node->stop;
$sim->stop;
done_testing();
