# Ids never come again, whatever is done to sequences, and drawing one is
# nothing the application's lastval() hears of.  TAP: crashes, restores, two
# hundred sessions, and a worker whose finished messages have left the outbox.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_base64);
use PostgreSQL::Test::Utils;
use Test::More;
use LineNotify::Node;
use LineNotify::Sim;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', max_connections => 260, max_prepared_transactions => 5);
$node->install('postgres', $sim, channel => 'rate_limit => 100000');

# ids that two of our tables, or one table twice, have
my $twice = q{
SELECT count(*) FROM (
	SELECT id FROM (SELECT id FROM line_notify.outbox UNION ALL SELECT id FROM line_notify.history) x
	GROUP BY id HAVING count(*) > 1) y};
my $highest = q{SELECT max(id) FROM (SELECT id FROM line_notify.outbox UNION ALL SELECT id FROM line_notify.history) x};

sub goes_on_above
{
	my ($what, $how) = @_;
	my $db = 'postgres';
	my $before = $node->safe_psql($db, $highest);
	$node->safe_psql($db, $how);
	# what it brought counts, too
	my $now = $node->safe_psql($db, $highest);
	$before = $now if $now > $before;
	my ($ids, $error);
	$node->psql($db, $node->insert_sql(2, first => 1) . ' RETURNING id', stdout => \$ids, stderr => \$error);
	is($error, '', "$what: no error");
	cmp_ok((split /\n/, $ids)[0] // 0, '>', $before, "$what: a new id");
	return;
}

# messages that have left the outbox, where a tool that looks at max(id) finds none
$node->insert('postgres', 20);
$node->wait_states('postgres', accepted => 20);

# what frameworks and people do, by the catalog, as they do it
my $by_owner = q{
DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT s.oid::regclass AS seq, t.oid::regclass AS tab, a.attname AS col
			 FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
			 JOIN pg_class t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
			 WHERE s.relkind = 'S' AND t.oid = 'line_notify.outbox'::regclass
	LOOP
		EXECUTE format('SELECT setval(%L, coalesce((SELECT max(%I) FROM %s), 1))', r.seq, r.col, r.tab);
	END LOOP;
END $$};
my $all = q{
DO $$ DECLARE s regclass; BEGIN
	FOR s IN SELECT c.oid FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace = 'line_notify'::regnamespace
	LOOP
		EXECUTE format(%s, s);
	END LOOP;
END $$};
my @tools = (
	['sequences set to max(id) of the column that owns them', $by_owner],
	['setval() of every sequence', sprintf($all, q{'SELECT setval(%L, 1, false)'})],
	['ALTER SEQUENCE RESTART of every sequence', sprintf($all, q{'ALTER SEQUENCE %s RESTART'})],
	['CYCLE, a low end, steps backwards', sprintf($all, q{'ALTER SEQUENCE %s INCREMENT 1 MINVALUE 1 MAXVALUE 2 START 1 RESTART CYCLE'})],
	['nextval() by hand', sprintf($all, q{'SELECT nextval(%L)'})],
);
goes_on_above(@$_) for @tools;
$node->wait_states('postgres', accepted => 20 + 2 * @tools);
is($node->safe_psql('postgres', $twice), 0, 'no id was sent under twice');

# the same with what waits, and the outbox emptied
$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
$node->insert('postgres', 3);
goes_on_above('TRUNCATE RESTART IDENTITY', 'TRUNCATE line_notify.outbox RESTART IDENTITY');

# rows that come with their ids, into history too, as a restore or a subscriber brings them
my $far = $node->safe_psql('postgres', $highest) + 100_000;
goes_on_above('history from elsewhere', qq{
SELECT line_notify._ensure_history($far);
INSERT INTO line_notify.history (id, channel, state, created_at, ended_at) SELECT i, 'shop', 'accepted', now(), now() FROM generate_series($far - 50, $far) i;
SELECT setval(c.oid, 1) FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace = 'line_notify'::regnamespace AND c.relname ~ 'id_seq'});
$far += 100_000;
$node->safe_psql('postgres', qq{
ALTER TABLE line_notify.outbox DISABLE TRIGGER prepare;
INSERT INTO line_notify.outbox (id, channel, recipient, template_key, expires_at, state, due_at, home, created_at)
SELECT $far, 'shop', repeat('0', 64), 't', now() + interval '1 day', 'queued', now(), 0, now();
ALTER TABLE line_notify.outbox ENABLE TRIGGER prepare;});
my $ids = $node->safe_psql('postgres', $node->insert_sql(2000) . ' RETURNING id');
is(scalar(grep { $_ == $far } split /\n/, $ids), 0, 'an id that came without our knowledge is not given again');
cmp_ok((split /\n/, $ids)[-1], '>', $far, 'it is noticed in time');

# an id chosen by hand: new ones go on above, one that is taken is refused
$far += 100_000;
goes_on_above('an id of the owner', "INSERT INTO line_notify.outbox (id, phone, use_case, template_key) VALUES ($far, '09012345678', 'reservation', 't')");
# one that is chosen right below some that came without our knowledge
$far += 100_000;
$node->safe_psql('postgres', qq{
ALTER TABLE line_notify.outbox DISABLE TRIGGER prepare;
INSERT INTO line_notify.outbox (id, channel, recipient, template_key, expires_at, state, due_at, home, created_at)
SELECT i, 'shop', repeat('0', 64), 't', now() + interval '1 day', 'queued', now(), 0, now() FROM generate_series($far + 5, $far + 9) i;
ALTER TABLE line_notify.outbox ENABLE TRIGGER prepare;
INSERT INTO line_notify.outbox (id, phone, use_case, template_key) VALUES ($far, '09012345678', 'reservation', 't')});
goes_on_above('a chosen id below others', 'SELECT 1');
# ids of a transaction that was rolled back are known to somebody; more of them
# than what is kept free above the rows
$node->safe_psql('postgres', 'ALTER TABLE line_notify.outbox SET (autovacuum_enabled = off)');
my $gone = $node->safe_psql('postgres', 'BEGIN; ' . $node->insert_sql(12000) . ' RETURNING id; ROLLBACK');
$gone = (split /\n/, $gone)[-1];
$node->safe_psql('postgres', "SELECT setval('line_notify.message_id_seq', 1)");
cmp_ok($node->safe_psql('postgres', $node->insert_sql(1) . ' RETURNING id'), '>', $gone, 'ids that were rolled back do not come again after a reset');
$node->safe_psql('postgres', 'ALTER TABLE line_notify.outbox RESET (autovacuum_enabled)');
my $old = $node->safe_psql('postgres', 'SELECT min(id) FROM line_notify.history');
for my $how ("INSERT INTO line_notify.outbox (id, phone, use_case, template_key) VALUES ($old, '09012345678', 'reservation', 't')",
	"INSERT INTO line_notify.outbox (id, channel, recipient, template_key, expires_at, state, due_at, home, created_at) VALUES ($old, 'shop', repeat('0', 64), 't', now() + interval '1 day', 'queued', now(), 0, now())")
{
	my $error;
	$node->psql('postgres', "\\set VERBOSITY sqlstate\n$how", stderr => \$error);
	like($error, qr/23505/, 'an id of history is refused');
}

# crash: between checkpoints and right behind one, prepared transactions too
for my $n (1 .. 3)
{
	$node->safe_psql('postgres', 'CHECKPOINT') if $n > 1;
	$node->insert('postgres', 5 * $n);
	$node->safe_psql('postgres', 'BEGIN; ' . $node->insert_sql(2) . "; PREPARE TRANSACTION 'p$n'");
	my $last = $node->safe_psql('postgres', $node->insert_sql(1) . ' RETURNING id');
	$node->stop('immediate');
	$node->start;
	cmp_ok($node->safe_psql('postgres', $node->insert_sql(1) . ' RETURNING id'), '>', $last, "crash $n: ids go on");
	$node->safe_psql('postgres', "COMMIT PREPARED 'p$n'");
}
is($node->safe_psql('postgres', $twice), 0, 'no id twice after crashes');

# reset twice, while somebody has an id and has not written its row
is($node->safe_psql('postgres', q{
CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.reference = 'outer' THEN
		PERFORM setval('line_notify.message_id_seq', 1);
		INSERT INTO line_notify.outbox (phone, use_case, template_key, reference) VALUES ('09012345678', 'reservation', 't', 'inner');
	END IF;
	RETURN NEW; END $$;
CREATE TRIGGER zz_meanwhile BEFORE INSERT ON line_notify.outbox FOR EACH ROW EXECUTE FUNCTION meanwhile();
SELECT setval('line_notify.message_id_seq', 1) \g /dev/null
INSERT INTO line_notify.outbox (phone, use_case, template_key, reference) VALUES ('09012345678', 'reservation', 't', 'outer');
DROP TRIGGER zz_meanwhile ON line_notify.outbox;
SELECT count(DISTINCT id) FROM line_notify.notifications WHERE reference IN ('inner', 'outer')}), 2, 'two resets between an id and its row');

# two hundred sessions, and somebody who resets sequences all the time
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.outbox');
my $script = $node->basedir . '/insert.sql';
append_to_file($script, $node->insert_sql(1) . ";\n");
my $reset = $node->basedir . '/reset.sql';
append_to_file($reset, "SELECT setval(c.oid, 1) FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace = 'line_notify'::regnamespace AND c.relname ~ 'id_seq';\n");
$node->command_ok([ 'pgbench', '-n', '-c', '200', '-j', '2', '-t', '20', '-f', "$script\@99", '-f', "$reset\@1", $node->connstr('postgres') ],
	'200 sessions');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.outbox') - $before, '>', 3800, 'they inserted');
is($node->safe_psql('postgres', $twice), 0, 'no id twice');
is($node->safe_psql('postgres', q{
SELECT count(*) FROM (SELECT id, created_at, lag(created_at) OVER (ORDER BY id) AS before FROM line_notify.outbox WHERE order_key IS NULL) x
WHERE created_at < before - interval '1 minute'}), 0, 'ids grow with time');

# restored, and restored without the setting of sequences
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
my $last = $node->safe_psql('postgres', $highest);
$node->safe_psql('postgres', 'CREATE DATABASE copy; CREATE DATABASE bare');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('copy'), $dump ], 'pg_restore');
cmp_ok($node->safe_psql('copy', $node->insert_sql(1) . ' RETURNING id'), '>', $last, 'a restored copy goes on above');
my $list = $node->basedir . '/list';
command_checks_all([ 'sh', '-c', "pg_restore -l $dump | grep -v 'SEQUENCE SET' > $list" ], 0, [], [], 'a list without sequences');
$node->command_ok([ 'pg_restore', '-e', '-L', $list, '-d', $node->connstr('bare'), $dump ], 'pg_restore without them');
cmp_ok($node->safe_psql('bare', $node->insert_sql(1) . ' RETURNING id'), '>', $last, 'it goes on above, too');

# lastval() and currval() are the application's
is($node->safe_psql('postgres', q{
CREATE TABLE orders (id bigint GENERATED BY DEFAULT AS IDENTITY (START 70001) PRIMARY KEY, phone text);
CREATE TABLE lines (order_id bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES (NEW.phone, 'reservation', 't');
	RETURN NULL; END $$;
CREATE TRIGGER by_insert AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER by_rule AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION line_notify.enqueue_trigger('{"phone": "{phone}", "use_case": "reservation", "template_key": "t"}');
INSERT INTO orders (phone) VALUES ('09012345678');
INSERT INTO lines VALUES (lastval());
SELECT order_id FROM lines}), 70001, 'lastval() is of the application');
my $none;
$node->psql('postgres', "SELECT line_notify.enqueue('09012345678', 'reservation', 't');\n\\set VERBOSITY sqlstate\nSELECT lastval()", stderr => \$none);
like($none, qr/55000/, 'and nothing where the application drew none');

# nor do the rows hear of it that we make beside a message: records, events, what goes on
my $events = '{"destination":"U00000000000000000000000000000000","events":[{"type":"delivery","delivery":{"data":"ln1-42-1-0000000000001"},"webhookEventId":"01J0000000000000000000000A","deliveryContext":{"isRedelivery":false},"timestamp":1750000000000,"mode":"active"}]}';
my $signature = hmac_sha256_base64($events, 'secret') . '=';
is($node->safe_psql('postgres', qq{
SELECT line_notify.set_credential('shop', 'channel_secret', 'secret') \\g /dev/null
INSERT INTO line_notify.outbox (phone, use_case, template_key, order_key, reference) SELECT '09012345678', 'reservation', 't', 'k', 'last' || i FROM generate_series(1, 2) i;
INSERT INTO orders (phone) VALUES ('09012345678');
UPDATE line_notify.messages SET send_after = now() + interval '1 hour' WHERE reference = 'last2';
DELETE FROM line_notify.messages WHERE reference = 'last1';
SELECT line_notify.receive_webhook('shop', '$events', '$signature');
SELECT lastval() - max(id) FROM orders}), "1\n0", 'lastval() is of the application after an UPDATE, a DELETE, a webhook');
is($node->safe_psql('postgres', q{
SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'line_notify'::regnamespace AND a.attnum > 0 AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~ 'nextval')}),
	'', 'no column of ours draws by nextval()');
# and these go on after a crash
$node->safe_psql('postgres', 'CREATE SEQUENCE numbers');
my $number = q{SELECT line_notify._next_number('numbers')};
my $numbers = $node->safe_psql('postgres', join(';', ($number) x 50));
my @numbers = split /\n/, $numbers;
is("@numbers", join(' ', 1 .. 50), 'one after the other');
my $next = $node->safe_psql('postgres', q{SELECT nextval('numbers')});
is($next, $numbers[49] + 1, 'nextval() goes on with them');
$node->stop('immediate');
$node->start;
cmp_ok($node->safe_psql('postgres', $number), '>', $next, 'above them after a crash');

# a number of the node above
$node->append_conf('postgresql.conf', 'line_notify.node_number = 5');
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('line_notify.node_number') = '5'}) or die 'not reloaded';
my $numbered = $node->safe_psql('postgres', $node->insert_sql(1) . ' RETURNING id');
is($numbered >> 43, 5, 'the number of the node stands above');
cmp_ok($numbered, '<', 2**53, 'JavaScript can read it');
$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
ok($node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE id = $numbered"), 'and it is sent');
cmp_ok($node->safe_psql('postgres', q{SELECT max(high) FROM line_notify._history_partitions()}), '>', $numbered, 'history has a place for it');

# at the end there is an error, and no id beyond
$node->safe_psql('postgres', q{
ALTER SEQUENCE line_notify.message_id_seq MAXVALUE 8796093022207;
SELECT setval('line_notify.message_id_seq', 8796093022206 - 10000)});
my $end;
$node->psql('postgres', "\\set VERBOSITY sqlstate\n" . $node->insert_sql(2), stderr => \$end);
like($end, qr/2200H/, 'the last id is the last');
# and what its hint says helps, when nothing has these ids
$node->safe_psql('postgres', 'VACUUM line_notify.outbox');
$node->safe_psql('postgres', "SELECT setval('line_notify.message_id_seq', 1)");
cmp_ok($node->safe_psql('postgres', q{INSERT INTO line_notify.outbox (phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't') RETURNING id & 8796093022207}), '<', 8000000000000, 'set to 1, ids go on');

$node->stop;

# where the library is not preloaded, the rows that were rolled back are all that
# knows these ids
my $bare = LineNotify::Node->new('bare', shared_preload_libraries => '', autovacuum => 'off');
$bare->install('postgres', $sim);
$gone = $bare->safe_psql('postgres', 'BEGIN; ' . $bare->insert_sql(12000) . ' RETURNING id; ROLLBACK');
$gone = (split /\n/, $gone)[-1];
$bare->safe_psql('postgres', "SELECT setval('line_notify.message_id_seq', 1)");
cmp_ok($bare->safe_psql('postgres', $bare->insert_sql(1) . ' RETURNING id'), '>', $gone, 'ids that were rolled back do not come again, not preloaded');

# the other numbers of ours, by the catalog: reset, they go on above what is there
my %row = (
	operations => "(seq, role, function, filter, dry_run, count) VALUES (5000, 'x', 'x', '{}', false, 0)",
	outcome => "(seq, consumer, id, channel, outcome, revision, correction) VALUES (5000, 'x', 1, 'shop', 'failed', 1, false)",
	unblock => "(seq, channel) VALUES (5000, 'shop')",
	webhook_event => "(seq, channel, event_id, type, event_at) VALUES (5000, 'shop', 'x', 'delivery', now())");
my @numbered = split /\n/, $bare->safe_psql('postgres', q{
SELECT c.relname FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid WHERE pg_get_expr(d.adbin, d.adrelid) ~ '_next_number' ORDER BY 1});
is("@numbered", join(' ', sort keys %row), 'tables with numbers of ours');
$bare->safe_psql('postgres', "INSERT INTO line_notify.$_ $row{$_}") for @numbered;
for my $reset (q{'SELECT setval(%L, 1, false)'}, q{'ALTER SEQUENCE %s RESTART'})
{
	$bare->safe_psql('postgres', sprintf $all, $reset);
	for my $table (@numbered)
	{
		my ($one, $two) = split /\n/, $bare->safe_psql('postgres', "SELECT line_notify._next_number('line_notify.${table}_seq_seq') FROM generate_series(1, 2)");
		cmp_ok($one, '>', 5000, "$table: above its rows after $reset");
		is($two, $one + 1, "$table: and goes on");
	}
}
$bare->safe_psql('postgres', "SELECT line_notify.pause('shop')");
is($bare->safe_psql('postgres', 'SELECT seq > 5000 FROM line_notify.operations ORDER BY at DESC LIMIT 1'), 't', 'an operator can pause');
$bare->stop;
$sim->stop;
done_testing();
