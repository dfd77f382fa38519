# An objection stops everything to a person: what is inserted, what waits, and
# what another transaction had inserted before and commits after.  Erasure
# leaves no trace of a person in any table, and leaves the counts.
# TAP: two sessions, the worker, and a dump to look through.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, channel => "total_timeout => '10 minutes'");
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub insert_sql
{
	my ($phone, $ref, $more, $values) = @_;
	$more //= ''; $values //= '';
	return "INSERT INTO line_notify.outbox (phone, use_case, template_key, body, reference$more)
		VALUES ('$phone', 'parcel_delivery', 'shipment_completed_ja',
			'{\"items\": [{\"itemKey\": \"number_001_ja\", \"content\": \"secret-content\"}]}', '$ref'$values)";
}
sub becomes
{
	my ($ref, $want, $name) = @_;
	ok($node->poll_query_until('postgres', "SELECT state FROM line_notify.notifications WHERE reference = '$ref'", $want), $name);
}
my $phone = '090-8888-0001';
my $hash = sql("SELECT line_notify.phone_hash('$phone')");

# --- objection
sql(insert_sql($phone, 'before'));
becomes('before', 'accepted', 'sent before the objection');
sql(insert_sql($phone, 'later', ', send_after', ", now() + interval '1 hour'"));
my $held = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres') ], '<', \my $in, '>', \my $out);
$in = "BEGIN;\n" . insert_sql($phone, 'in between') . ";\nSELECT 'inserted';\n";
IPC::Run::pump($held) until $out =~ /inserted/;
is(sql("SELECT line_notify.suppress_recipient('$phone', 'asked by mail')"), 1, 'one waiting message ends');
is(sql("SELECT state FROM line_notify.notifications WHERE reference = 'later'"), 'suppressed', 'it is suppressed');
$in = "COMMIT;\n\\q\n";
IPC::Run::finish($held);
becomes('in between', 'suppressed', 'what another transaction had inserted is stopped at the claim');
sql(insert_sql($phone, 'after'));
becomes('after', 'suppressed', 'and what comes after it at the INSERT');
is(sql("SELECT count(*) FROM line_notify.history WHERE state = 'suppressed' AND recipient IS NOT NULL"), 0, 'none of these keeps the recipient');
is(scalar(grep { $_->{path} =~ /push/ } $sim->requests), 1, 'one message was sent in all');
is(sql("SELECT line_notify.suppress_recipient('$hash')"), 0, 'by hash, and again: nothing more to do');
is(sql("SELECT line_notify.unsuppress_recipient('+81 90 8888 0001')"), 't', 'the objection ends');
sql(insert_sql($phone, 'again'));
becomes('again', 'accepted', 'and messages go again');
my ($rc, $o, $err) = $node->psql('postgres', "SELECT line_notify.suppress_recipient('nonsense')");
like($err, qr/invalid phone number/, 'nonsense is an error');
unlike($err, qr/nonsense/, 'that does not repeat it');

# --- erasure
$sim->script({ match => { path => 'send' }, answer => 429, times => 1 });	# leaves a line in attempt_log
my $trace = '7' x 32;
my $parent = "00-$trace-" . '8' x 16 . '-01';
sql(insert_sql($phone, 'customer-77', ', dedup_key, order_key, batch, traceparent', ", 'dedup-77', 'order-77', 'b', '$parent'"));
becomes('customer-77', 'accepted', 'a message with keys, at the second attempt');
sql(insert_sql($phone, 'customer-78', ', send_after, dedup_key, traceparent', ", now() + interval '1 hour', 'dedup-78', '$parent'"));
sql("SELECT line_notify.cancel(reference => 'customer-nobody')");
$node->insert('postgres', 2, first => 1);
$node->poll_query_until('postgres', "SELECT count(*) = 2 FROM line_notify.notifications WHERE reference LIKE 'ref %' AND state = 'accepted'") or die;
my $counts = sql("SELECT count(*) FROM line_notify.notifications");
my $totals = "SELECT string_agg(outcome || ' ' || messages, ',' ORDER BY 1) FROM line_notify.daily_totals";
# a key that a message of this person gave back, and another person's has now
sql("INSERT INTO line_notify.outbox (phone, use_case, template_key, reference, dedup_key, send_after) VALUES
	('$phone', 'parcel_delivery', 't', 'gave back', 'dedup-shared', now() + interval '1 hour')");
sql("SELECT line_notify.cancel(reference => 'gave back')");
sql("INSERT INTO line_notify.outbox (phone, use_case, template_key, reference, dedup_key, send_after) VALUES
	('090-8888-0002', 'parcel_delivery', 't', 'has now', 'dedup-shared', now() + interval '1 hour')");
# on the wire while it is erased
$sim->script({ match => { path => 'send' }, do => 'hold', times => 1 });
sql(insert_sql($phone, 'customer-79'));
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.in_flight") or die;
# parked by a fault, in a queue that is not sent from here; untagged event; staging list; note for an order_key; statistics
sql("INSERT INTO line_notify.outbox (id, channel, recipient, template_key, body, reference, dedup_key, order_key, traceparent, expires_at, state, due_at, home, created_at)
	VALUES (900001, 'shop', '$hash', 't', '{\"items\": [\"content-80\"]}', 'customer-80', 'dedup-80', 'order-80', '$parent', '2100-01-01', 'invalid', now(), 4711, now())");
sql("INSERT INTO line_notify.dedup (channel, dedup_key, id, until) VALUES ('shop', 'dedup-80', 900001, '2100-01-01')");
sql("SELECT line_notify.create_channel('staging', only_recipients => ARRAY['$phone'])");
sql("SELECT line_notify.create_channel('staging2', only_recipients => ARRAY['$phone', '090-1111-2222'])");
sql("SELECT line_notify.cancel(reference => 'customer-80'); SELECT line_notify.cancel(dedup_key => 'dedup-77')");
sql("ANALYZE line_notify.outbox; ANALYZE line_notify.history; ANALYZE line_notify.dedup; ANALYZE line_notify.operations; ANALYZE line_notify.attempt_log");
my $forgets = "BEGIN;
	INSERT INTO line_notify.unblock (channel, order_key) VALUES ('shop', 'order-77');
	INSERT INTO line_notify.webhook_event (channel, event_id, type, recipient, event_at) VALUES ('shop', 'untagged', 'delivery', '$hash', now());
	SELECT line_notify.forget_recipient('$phone');
	COMMIT;";
$out = '';
my $forgetting = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $forgets ], '>', \$out);
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), 'erasure waits for what is on the wire');
$sim->clear_script;
IPC::Run::finish($forgetting);
is($out, "7\n", 'seven messages concerned: three sent, one cancelled, one waiting, one on the wire, one invalid');
is(sql("SELECT count(*) FROM line_notify.notifications"), $counts + 4, 'the rows stay, to be counted');
is(sql("SELECT count(*) FROM line_notify.dedup WHERE dedup_key = 'dedup-shared'"), 1, 'another person keeps the key that became free');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '--data-only', '-f', $dump, 'postgres' ], 'all our data');
my $text = PostgreSQL::Test::Utils::slurp_file($dump);
my @traces = ($hash, $trace, 'customer-77', 'customer-78', 'customer-79', 'customer-80', 'dedup-77', 'dedup-78', 'dedup-80', 'order-77', 'order-80', 'content-80', '8888-0001', '88880001');
my @left = grep { $text =~ /\Q$_\E/ } @traces;
is("@left", '', 'no trace is left in a dump');
# the dump leaves out what is of no use elsewhere
for my $table (split /\n/, sql("SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'line_notify'::regnamespace AND c.relkind = 'r' ORDER BY 1"), 'pg_statistic')
{
	$text = sql("COPY $table TO STDOUT");
	@left = grep { $text =~ /\Q$_\E/ } @traces;
	is("@left", '', "$table: no trace");
}
is(sql("SELECT string_agg(name || ' ' || only_recipients, ', ' ORDER BY name) FROM line_notify.channels WHERE name LIKE 'staging%'"), 'staging 0, staging2 1',
	'taken off the lists of people who may be sent to');
($rc, $o, $err) = $node->psql('postgres', "INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('staging', '090-1111-2222', 'parcel_delivery', 't')");
ok($node->poll_query_until('postgres', "SELECT state = 'suppressed' FROM line_notify.notifications WHERE channel = 'staging'"), 'an empty list allows nobody');
sql("DELETE FROM line_notify.history WHERE channel = 'staging'");
# and the files: rows that are dead are gone once the tables are rewritten
sql("VACUUM FULL $_") for split /\n/, sql("SELECT c.oid::regclass FROM pg_class c WHERE (c.relnamespace = 'line_notify'::regnamespace OR c.relname = 'pg_statistic') AND c.relkind = 'r'");
sql('CHECKPOINT');
my $oid = sql("SELECT oid FROM pg_database WHERE datname = 'postgres'");
my %found;
for my $file (glob($node->data_dir . "/base/$oid/*"))
{
	my $bytes = PostgreSQL::Test::Utils::slurp_file($file);
	$found{$_}++ for grep { index($bytes, $_) >= 0 } @traces;
}
is(join(' ', sort keys %found), '', 'no trace is left in the files of the database');
$text = PostgreSQL::Test::Utils::slurp_file($dump);
like($text, qr/secret-content/, 'other people\'s messages are still there');
is(sql("SELECT count(*) FROM line_notify.history WHERE recipient IS NOT NULL AND state = 'accepted'"), 2, 'they keep their recipients');
like(sql($totals), qr/accepted 6/, 'the counts stay') or diag sql($totals);
is(sql("SELECT line_notify.forget_recipient('$phone')"), 0, 'again: nothing left');
is(sql("SELECT string_agg(function, ',' ORDER BY seq) FROM line_notify.operations WHERE function LIKE '%recipient'"),
	'suppress_recipient,suppress_recipient,unsuppress_recipient,forget_recipient,forget_recipient', 'recorded, without the person');

$node->stop;
$sim->stop;
done_testing();
