# What a second attack from outside had found: a sender that locks everybody out by
# LOCK TABLE of a view, a right to look that was a right to act, guessing numbers by
# UPDATE, and numbers that reach the server's log by the context, the query within
# a function, a deadlock, or a message about a lock.  TAP: the server's log.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->append_conf('postgresql.conf', "deadlock_timeout = '50ms'\nlog_lock_waits = on\n");
$node->restart;
$node->install('postgres', $sim, name => $_) for 'shop', 'bank';
$node->safe_psql('postgres', q{
CREATE ROLE s_shop LOGIN; SELECT line_notify.grant_sender('s_shop', '{shop}');
CREATE ROLE s_bank LOGIN; SELECT line_notify.grant_sender('s_bank', '{bank}');
CREATE ROLE duo LOGIN; SELECT line_notify.grant_support('duo'), line_notify.grant_sender('duo', '{shop}');
CREATE ROLE duo2 LOGIN IN ROLE pg_read_all_data; SELECT line_notify.grant_sender('duo2', '{shop}');
CREATE ROLE op LOGIN; SELECT line_notify.grant_operator('op');
CREATE SCHEMA s_shop AUTHORIZATION s_shop;
SELECT line_notify.set_consumer('bankonly', 'bank', role => 's_bank')});

sub as
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE $role; $sql");
	return $rc == 0 ? $out : $err;
}
sub denied { my ($role, $sql, $name) = @_; like(as($role, $sql), qr/permission denied/, $name); return; }

# ---- nobody but the owner locks what others send through
for my $mode ('ACCESS EXCLUSIVE', 'EXCLUSIVE', 'SHARE', 'ROW EXCLUSIVE', 'ACCESS SHARE')
{
	denied('s_shop', "BEGIN; LOCK TABLE line_notify.messages IN $mode MODE", "LOCK TABLE messages IN $mode MODE");
}
as('s_shop', q{CREATE VIEW s_shop.v AS SELECT * FROM line_notify.messages; CREATE VIEW s_shop.w AS SELECT (SELECT count(*) FROM s_shop.v) AS n;
	CREATE TABLE s_shop.own (i int)});
denied('s_shop', "BEGIN; LOCK TABLE s_shop.v IN EXCLUSIVE MODE", 'nor by a view over it');
denied('s_shop', "BEGIN; LOCK TABLE s_shop.own, s_shop.w IN EXCLUSIVE MODE", 'nor by a view over that, in a subquery');
is(as('s_shop', 'BEGIN; LOCK TABLE s_shop.own; ROLLBACK'), '', 'his own table');
# all tables under it, one after the other: with the worker that may be a deadlock, no refusal
ok($sim->wait_until(sub { $node->psql('postgres', 'BEGIN; LOCK TABLE line_notify.messages; ROLLBACK') == 0 }, 30), 'the owner');
# who does not want to wait does not wait for our look at his view
as('s_shop', 'CREATE VIEW s_shop.plain AS SELECT * FROM s_shop.own');
my $alter = $node->background_psql('postgres');
$alter->query_safe('BEGIN; ALTER VIEW s_shop.plain SET (security_barrier = true)');
like(as('s_shop', q{SET statement_timeout = '30s'; BEGIN; LOCK TABLE s_shop.plain IN ACCESS SHARE MODE NOWAIT}), qr/could not obtain lock on relation "plain"/, 'NOWAIT');
$alter->query_safe('ROLLBACK');
$alter->quit;
is(as('s_shop', 'BEGIN; LOCK TABLE s_shop.plain NOWAIT; ROLLBACK'), '', 'and then he has it');

# nor does he stand in everybody's way by asking for what he is then denied: the
# server locks first.  PREPARE locks without a privilege, too, and holds it.
$node->safe_psql('postgres', q{CREATE ROLE nobody LOGIN; CREATE SCHEMA nobody AUTHORIZATION nobody});
as('nobody', q{CREATE TABLE nobody.own (id bigint); CREATE TABLE nobody.parted (id bigint) PARTITION BY LIST (id); CREATE INDEX i ON nobody.parted (id);
	CREATE FUNCTION nobody.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'});
my $holder = $node->background_psql('postgres');
$holder->query_safe('SET ROLE nobody; BEGIN; PREPARE p AS DELETE FROM line_notify.outbox; PREPARE q AS DELETE FROM line_notify.history; PREPARE r AS DELETE FROM line_notify.in_flight');
for my $table ('outbox', 'history', 'in_flight')
{
	like(as('nobody', "SET lock_timeout = '1s'; $_"), qr/permission denied|must be owner/, $_) for
		"CREATE RULE r AS ON INSERT TO line_notify.$table DO NOTHING",
		"CREATE TRIGGER t BEFORE INSERT ON line_notify.$table FOR EACH ROW EXECUTE FUNCTION nobody.f()",
		"ALTER TABLE nobody.own ADD FOREIGN KEY (id) REFERENCES line_notify.$table (id)",
		"ALTER TABLE nobody.own ADD COLUMN o bigint REFERENCES line_notify.$table (id)",
		"CREATE TABLE nobody.other (id bigint REFERENCES line_notify.$table (id))",
		"CREATE TABLE nobody.other (id bigint, FOREIGN KEY (id) REFERENCES line_notify.$table (id))",
		"CREATE TEMP TABLE other (id bigint REFERENCES line_notify.$table (id))",
		"ALTER TABLE nobody.parted ATTACH PARTITION line_notify.$table FOR VALUES IN (1)";
}
like(as('nobody', q{SET lock_timeout = '1s'; ALTER INDEX nobody.i ATTACH PARTITION line_notify.outbox_pkey}), qr/must be owner/, 'an index');
like(as('nobody', q{SET lock_timeout = '1s'; SET search_path = line_notify; CREATE RULE r AS ON INSERT TO outbox DO NOTHING}), qr/must be owner/, 'by the short name');
is(as('nobody', q{CREATE RULE r AS ON INSERT TO nobody.own DO NOTHING; CREATE TRIGGER t BEFORE INSERT ON nobody.own FOR EACH ROW EXECUTE FUNCTION nobody.f();
	CREATE TABLE nobody.key (id bigint PRIMARY KEY); ALTER TABLE nobody.own ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES nobody.key; ALTER TABLE nobody.own ALTER CONSTRAINT k DEFERRABLE; CREATE TABLE nobody.part (id bigint);
	ALTER TABLE nobody.parted ATTACH PARTITION nobody.part FOR VALUES IN (1)}), '', 'with his own tables he does all that');
# nor an operator who waits for such a lock himself
$node->safe_psql('postgres', "SELECT line_notify.create_channel('old')");
like(as('postgres', q{SET statement_timeout = '30s'; SELECT line_notify.drop_channel('old')}), qr/lock timeout/, 'drop_channel() gives up soon');
$holder->query_safe('ROLLBACK');
$holder->quit;
is($node->psql('postgres', "SELECT line_notify.drop_channel('old')"), 0, 'and is done when nobody is in its way');
# who was given the privilege has it
$node->safe_psql('postgres', 'GRANT REFERENCES (name) ON line_notify.channel TO nobody; GRANT TRIGGER ON line_notify.price TO nobody');
is(as('nobody', q{CREATE TABLE nobody.notes (channel text REFERENCES line_notify.channel (name)); CREATE TRIGGER t BEFORE INSERT ON line_notify.price FOR EACH ROW EXECUTE FUNCTION nobody.f()}), '', 'REFERENCES and TRIGGER, if the owner gives them');
$node->safe_psql('postgres', 'DROP SCHEMA nobody CASCADE; REVOKE REFERENCES (name) ON line_notify.channel FROM nobody; REVOKE TRIGGER ON line_notify.price FROM nobody');

# ---- to look at everything is no right to change it
$node->safe_psql('postgres', qq{
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, reference, send_after)
SELECT c, '0901234000' || i, 'parcel_delivery', 'x', c || ' ' || i, now() + interval '1 hour' FROM unnest('{shop,bank}'::text[]) c, generate_series(1, 4) i;
INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, reference) VALUES ('bank', '1', 'parcel_delivery', 'x', 'bad')});
for my $who ('duo', 'duo2')
{
	is(as($who, "SELECT count(*) FROM line_notify.messages WHERE reference = 'bank 1'"), 1, "$who sees the message of another channel");
	denied($who, "DELETE FROM line_notify.messages WHERE reference = 'bank 1'", "$who does not cancel it");
	denied($who, "UPDATE line_notify.messages SET send_after = now() + interval '2 hours' WHERE reference = 'bank 1'", "$who does not move it");
	like(as($who, "SELECT id FROM line_notify.take_outcomes(10, consumer => 'bankonly')"), qr/permission denied|does not exist|^$/, "$who does not take what is kept for another role");
}
is(as('duo', "WITH d AS (DELETE FROM line_notify.messages WHERE reference = 'shop 1' RETURNING id) SELECT count(*) FROM d"), 1, 'of his own channel he may');
ok($node->poll_query_until('postgres', "SELECT waiting = 1 FROM line_notify.consumers WHERE name = 'bankonly'"), 'the worker has told what was wrong');
is(as('op', "SELECT count(*) FROM line_notify.take_outcomes(10, channel => 'bank', consumer => 'bankonly')"), 1, 'an operator may');

# ---- a guess is a search
my $from = -s $node->logfile;
like(as('s_shop', "UPDATE line_notify.messages SET phone = '09012340003' WHERE reference = 'shop 2'"), qr/cannot be changed/, 'another number is refused');
is(as('s_shop', "UPDATE line_notify.messages SET phone = '09012340002' WHERE reference = 'shop 2'"), '', 'the same is let pass');
my $log = slurp_file($node->logfile, $from);
like($log, qr/role "s_shop".*calls line_notify\.messages\(\) with another phone in an UPDATE/, 'and it is in the log');

# ---- numbers in the log
$from = -s $node->logfile;
as('s_shop', $_) for
	q{DO $$ BEGIN EXECUTE format('INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES (%L, %L, %L, %L)', 'shop', '09011110001', 'wrong_case', 'x'); END $$},
	q{DO $$ BEGIN EXECUTE format('INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, priority) VALUES (%L, %L, %L, %L, (1/0)::smallint)', 'shop', '09011110002', 'parcel_delivery', 'x'); END $$},
	q{INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, body) VALUES ('shop', '090', 'parcel_delivery', 'x', '{"a": "09011110003", bad}')};

# two sessions that wait for each other's dedup_key
my $insert = q{INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, dedup_key, send_after) VALUES ('shop', '0901111%s', 'parcel_delivery', 'x', '%s', now() + interval '1 hour');};
my ($x, $y) = map { $node->background_psql('postgres', on_error_stop => 0) } 1, 2;
$x->query_safe('BEGIN; ' . sprintf($insert, '0010', 'A'));
$y->query_safe('BEGIN; ' . sprintf($insert, '0011', 'B'));
$x->query_until(qr/waits/, "\\echo waits\n" . sprintf($insert, '0012', 'B') . "\n");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 'one waits');
$y->query(sprintf($insert, '0013', 'A'));
$_->quit for $x, $y;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 'and none any more');
$log = slurp_file($node->logfile, $from);
like($log, qr/deadlock detected/, 'a deadlock, in the log');
like($log, qr/LOG: .*while waiting for/, 'and a wait for a lock');
unlike($log, qr/0901111/, 'no number in the log: of the query in a function, of its context, of JSON, of a deadlock, of a wait');

# ---- and in other languages: what stands around a number is translated
sub in_log
{
	my ($language, $number) = @_;
	my $at = -s $node->logfile;
	local $ENV{PGOPTIONS} = '-c log_parameter_max_length_on_error=-1';
	as('s_shop', "COPY line_notify.outbox (channel, phone, use_case, template_key, priority) FROM stdin;\nshop\t$number\tparcel_delivery\tt\tx\n\\.\n");
	as('s_shop', qq(INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, body) VALUES ('shop', '1', 'parcel_delivery', 'x', '{"a": "$number", bad}')));
	as('s_shop', "SELECT line_notify.wait_for('$number')");
	# bound parameters: one that is refused, and all of a statement that fails
	for my $statement (q{INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, priority) VALUES ('shop', :phone, 'parcel_delivery', 'x', :text)},
		q{SELECT 1 / 0 FROM line_notify.find_notifications(:phone)}, q{SELECT line_notify.wait_for(:phone)})
	{
		my $file = PostgreSQL::Test::Utils::tempdir() . '/bind.sql';
		append_to_file($file, "$statement;\n");
		system_log('pgbench', '-n', '-M', 'extended', '-t', 1, '-f', $file, '-D', "phone=$number", '-D', 'text=soon',
			$node->connstr('postgres'));
		unlink $file;
	}
	my $said = slurp_file($node->logfile, $at);
	unlike($said, qr/\Q$number\E/, "$language: no number in the log");
	return $said;
}
like(in_log('English', '090-3333-0001'), qr/invalid input syntax for type smallint/, 'so it is English');
SKIP:
{
	my $locale = `pg_config --localedir`;
	my ($libc) = `ldd --version` =~ /([0-9.]+)$/m;
	chomp $locale;
	my @there = grep { my @files = glob "$locale/$_/LC_MESSAGES/postgres-*.mo"; @files } qw(ja de fr zh_CN ko);
	skip 'no translations of the server', 1 unless @there;
	$node->append_conf('postgresql.conf', "lc_messages = 'C.UTF-8'\n");
	for my $language (@there)
	{
		$node->stop;
		{
			local $ENV{LANGUAGE} = $language;
			$node->start;
		}
		like(as('postgres', "SELECT line_notify.alter_channel('shop', rate_limit => -1)"), qr/channel_rate_limit_check: CHECK/, "$language: which rule a setting broke");
		my $said = in_log($language, '090-3333-0002');
		# from 2.39 on, the C library translates nothing in C.UTF-8
		skip 'the C library has no language here', 1 if $libc >= 2.39;
		unlike($said, qr/invalid input syntax for type smallint/, "and that is $language");
	}
}

$node->stop;
$sim->stop;
done_testing();
