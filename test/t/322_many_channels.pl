# Many channels cost little more than one: they share a claim, one with few
# messages does not wait for the others' backlog, a row that cannot be claimed
# holds up no other, and a claim reads the rows of its lanes only, also when the
# queue was empty at its last ANALYZE.  Judged by the order of requests and by
# counts, not by time.  TAP: the worker, the simulator's log.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', autovacuum => 'off', 'line_notify.max_in_flight' => 5000);
my @big = map { sprintf 'c%02d', $_ } 1 .. 39;
my @few = qw(a0 c19a z9);
$node->safe_psql('postgres', 'CREATE EXTENSION line_notify');
$node->safe_psql('postgres', sprintf q{SELECT line_notify.create_channel(n, api_base => '%s', line_channel_id => n), line_notify.set_credential(n, 'access_token', '%s')
	FROM unnest('{%s}'::text[]) n}, $sim->url, $sim->token, join ',', @big, @few, 'still');
$node->safe_psql('postgres', q{SELECT line_notify.pause('still')});

# one message to each channel
sub one_each
{
	my ($first, @channels) = @_;
	return join ';', map { $node->insert_sql(1, first => $first++, set => { channel => "'$_'" }) } @channels;
}
$node->safe_psql('postgres', one_each(1, @big, @few));
$node->wait_states('postgres', accepted => 42);

# ---- one claim ------------------------------------------------------------
# how many statements write leases
$node->safe_psql('postgres', q{CREATE SEQUENCE claims MINVALUE 0; SELECT nextval('claims');
	CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.claims'); RETURN NULL; END $$;
	CREATE TRIGGER note AFTER INSERT ON line_notify.in_flight FOR EACH STATEMENT EXECUTE FUNCTION note()});
$node->safe_psql('postgres', 'BEGIN;' . one_each(101, @big, @few) . ';COMMIT');
$node->wait_states('postgres', accepted => 84);
cmp_ok($node->safe_psql('postgres', 'SELECT last_value FROM claims'), '<=', 3, 'messages of 42 channels are claimed together');

# a lock is no channel's fault: none is claimed for by itself after it
my $claims = $node->safe_psql('postgres', 'SELECT last_value FROM claims');
my $session = $node->background_psql('postgres', on_error_stop => 1);
my $offset = -s $node->logfile;
$session->query_safe('BEGIN; LOCK TABLE line_notify.in_flight');
$node->safe_psql('postgres', 'BEGIN;' . one_each(201, @big, @few) . ';COMMIT');
$node->wait_for_log(qr/canceling statement due to lock timeout/, $offset);
$session->query_safe('COMMIT');
$session->quit;
$node->wait_states('postgres', accepted => 126);
cmp_ok($node->safe_psql('postgres', 'SELECT last_value FROM claims') - $claims, '<=', 5, 'nor are they claimed one by one after somebody had a lock');

# ---- fairness -------------------------------------------------------------
$node->safe_psql('postgres', 'BEGIN;'
	. join(';', map { $node->insert_sql(80, first => 1000 + 80 * $_, set => { channel => "'$big[$_]'" }) } 0 .. $#big) . ';'
	. one_each(5001, @few) . ';COMMIT');
$node->wait_states('postgres', accepted => 126 + 80 * 39 + 3);
# handed to the network, that is: what a connection takes to open is no matter here
my $last = $node->safe_psql('postgres', q{SELECT max(n) FILTER (WHERE reference IN ('ref 5001', 'ref 5002', 'ref 5003'))
	FROM (SELECT reference, row_number() OVER (ORDER BY sent_at, id) AS n FROM line_notify.history WHERE reference ~ '^ref [1-5][0-9]{3}$') h});
# one claim is at most 256 rows, and each channel is in the first
cmp_ok($last, '<=', 300, 'three channels with one message each go among the first, wherever they stand');

# ---- a row that cannot be claimed ------------------------------------------
$node->safe_psql('postgres', q{CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = NEW.id AND o.reference = 'ref 6005') THEN RAISE check_violation; END IF; RETURN NEW; END $$;
	CREATE TRIGGER bad BEFORE INSERT ON line_notify.in_flight FOR EACH ROW EXECUTE FUNCTION bad()});
$node->safe_psql('postgres', 'BEGIN;' . one_each(6001, @big, @few) . ';' . one_each(7001, @big, @few) . ';COMMIT');
$node->wait_states('postgres', accepted => 126 + 80 * 39 + 3 + 83, queued => 1);
ok($node->poll_query_until('postgres', q{SELECT reference, error LIKE 'in quarantine%' FROM line_notify.notifications WHERE state = 'queued'}, 'ref 6005|t'),
	'one row that cannot be claimed is in quarantine, the others are sent');
$node->safe_psql('postgres', q{SELECT line_notify.cancel(reference => 'ref 6005')});

# nor do channels that cannot be claimed for part the claims of the others
my @bad = map { sprintf 'c%02d', 5 * $_ } 1 .. 7;
my %bad = map { $_ => 1 } @bad;
my @good = grep { !$bad{$_} } @big;
$node->safe_psql('postgres', q{CREATE OR REPLACE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = NEW.id AND o.batch = 'bad') THEN RAISE check_violation; END IF; RETURN NEW; END $$});
$offset = -s $node->logfile;
$node->safe_psql('postgres', 'BEGIN;' . join(';', map { $node->insert_sql(300, first => 20_000 + 300 * $_, set => { channel => "'$bad[$_]'", batch => "'bad'" }) } 0 .. $#bad) . ';COMMIT');
$node->wait_for_log(qr/in quarantine/, $offset);
$node->safe_psql('postgres', join ';', map { "SELECT line_notify.pause('$_')" } @bad);
$node->asleep('postgres');
$claims = $node->safe_psql('postgres', 'SELECT last_value FROM claims');
$node->safe_psql('postgres', 'BEGIN;' . one_each(30_001, @good) . ';COMMIT');
$node->poll_query_until('postgres', q{SELECT count(*) = 32 FROM line_notify.history WHERE reference ~ '^ref 300[0-9][0-9]$'}) or die;
cmp_ok($node->safe_psql('postgres', 'SELECT last_value FROM claims') - $claims, '<=', 3, 'channels that failed and are paused do not part the claims of the others');
$node->safe_psql('postgres', q{DROP TRIGGER bad ON line_notify.in_flight; SELECT line_notify.cancel(batch => 'bad')});

# ---- what a claim reads ----------------------------------------------------
# The plan is made when the worker first looks after VACUUM: here while there is
# not a page in the table, since the row that it was woken for was not kept.
sub to_c01
{
	my ($first) = @_;
	$node->safe_psql('postgres', one_each($first, 'c01'));
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.outbox WHERE channel = 'c01'}) or die;
	return;
}
$node->safe_psql('postgres', q{CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
	CREATE TRIGGER zz_nothing BEFORE INSERT ON line_notify.outbox FOR EACH ROW WHEN (NEW.reference = 'ref 9999') EXECUTE FUNCTION nothing()});
# it has statistics of what was there before
$node->insert('postgres', 2_000, first => 10_001, set => { channel => "'still'" });
$node->safe_psql('postgres', 'ANALYZE line_notify.outbox');
$node->safe_psql('postgres', q{SELECT line_notify.cancel(channel => 'still')});
# pages go when nobody else has a lock at that moment
my $pages = q{SELECT pg_relation_size('line_notify.outbox')};
for (1 .. 100) { $node->safe_psql('postgres', 'VACUUM (ANALYZE) line_notify.outbox'); last if $node->safe_psql('postgres', $pages) == 0 }
# statistics of scans would not do: those of any session come when it ends, or later
$node->turn('postgres', sub { $node->safe_psql('postgres', one_each(9999, 'c01')) });
is($node->safe_psql('postgres', $pages), 0, 'the queue was seen empty');
$node->insert('postgres', 20_000, first => 80_001, set => { channel => "'still'" });
my $read = q{SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'outbox'};
my $before = $node->safe_psql('postgres', $read);
to_c01(8001 + $_) for 1 .. 10;
# the worker has told, when it has ended
my $worker = $node->worker_pid('postgres');
kill 'TERM', $worker;
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $worker") or die;
cmp_ok($node->safe_psql('postgres', $read) - $before, '<', 20_000, 'ten claims do not read the 20,000 rows of another channel');

done_testing();
