# health() neither fails nor waits: not with a table of ours locked, not without
# the privileges of a superuser, not when a sort has no room, not when a part
# takes too long; it says what it could not look at.  And it names what stands in
# the way of our own DDL, and what default privileges gave away.  TAP: several
# sessions, roles, files.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
sub sql { return $node->safe_psql('postgres', $_[0]); }
my $health = q{SELECT concat_ws(' | ', severity, subject, reason, hint) FROM line_notify.health()};

sub sees
{
	my ($what, $name) = @_;
	my $ok = $node->poll_query_until('postgres', "SELECT count(*) > 0 FROM line_notify.health() WHERE concat_ws(' | ', severity, subject, reason, hint) ~ '$what'");
	ok($ok, $name) or diag(sql($health));
	return;
}

# ---- default privileges have their say before anybody looks
sql(q{
CREATE ROLE app;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO app;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app;
});
$node->install('postgres', $sim);
$node->insert('postgres', 1);
$node->wait_states('postgres', accepted => 1);
sees('warning . privileges . role "app" may call every function of line_notify, the internal ones included', 'default privileges of functions');
sees('warning . privileges . role "app" may use tables of line_notify, the internal ones included', 'and of tables');
sql($_) for sql($health) =~ /(REVOKE ALL.*?); then/g;
unlike(sql($health), qr/privileges/i, 'what the hints say mends it');
sql('ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM app; ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM app');
sql(q{SELECT line_notify.grant_sender('app', '{shop}'), line_notify.grant_operator('app'), line_notify.grant_support('app')});
is(sql($health), '', 'what is granted by our functions is no news');

# ---- a lock on any table of ours, of a transaction that stays
my @tables = split /\n/, sql(q{
SELECT oid::regclass FROM pg_class WHERE relnamespace = 'line_notify'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1});
cmp_ok(scalar(@tables), '>', 20, 'our tables');
my $holder = $node->background_psql('postgres');
my %told;
for my $table (@tables)
{
	$holder->query_safe("BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	my ($rc, $out, $err) = $node->psql('postgres', $health, timeout => 60);
	is($rc, 0, "$table is locked: health() answers") or diag($err);
	$told{$table} = $out =~ /^warning . health . could not look at .*lock timeout/m ? 1 : 0;
	$holder->query_safe('ROLLBACK');
}
ok($told{"line_notify.$_"}, "$_: and says what it did not see") for qw(channel outbox history in_flight credential identity minute_count partial_pause webhook_event);
$holder->quit;
# what the worker could not do meanwhile, it has done
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.health()'), 'and nothing when they are free') or diag(sql($health));

# ---- no room to sort
sql(q{
INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered)
SELECT 'shop', now() - i * interval '1 second', 1, 1 FROM generate_series(1, 80000) i});
my $cramped = $node->safe_psql('postgres', "SET work_mem = '64kB'; SET temp_file_limit = 0; SET enable_hashagg = off; $health");
like($cramped, qr/^warning . health . could not look at delivery events: .*temp_file_limit/m, 'no room for a sort: it says so');
sql('DELETE FROM line_notify.minute_count');

# ---- a part that takes its time
my $body = sql(q{SELECT pg_get_functiondef('line_notify._health_contents()'::regprocedure)});
(my $slow = $body) =~ s/\$function\$.*\$function\$/\$function\$ SELECT 'info', 'x', 'y', 'z' FROM pg_sleep(600) \$function\$/s;
sql($slow);
like(sql($health), qr/^warning . health . did not look at everything, for want of time: contents/m, 'a part that takes too long');
my ($rc, $out, $err) = $node->psql('postgres', "SET statement_timeout = '100ms'; $health");
like($err, qr/canceling statement due to statement timeout/, 'statement_timeout is obeyed within it');
($rc, $out, $err) = $node->psql('postgres', "SET statement_timeout = '2s'; SELECT h.n, pg_sleep(600) FROM (SELECT count(*) AS n FROM line_notify.health() OFFSET 0) h");
like($err, qr/canceling statement due to statement timeout/, 'and behind it');
# at once, within the part, however slow the machine is
(my $cancelled = $body) =~ s/\$function\$.*\$function\$/\$function\$ SELECT 'info', 'x', 'y', 'z' FROM pg_cancel_backend(pg_backend_pid()), pg_sleep(600) \$function\$/s;
sql($cancelled);
($rc, $out, $err) = $node->psql('postgres', $health);
like($err, qr/canceling statement due to user request/, 'nor does it take what comes meanwhile for its own limit');
sql($body);
is(sql($health), '', 'all is well again');

# ---- a part that fails
my $ill = sql(q{SELECT pg_get_functiondef('line_notify._health_pauses()'::regprocedure)});
(my $broken = $ill) =~ s/\$function\$.*\$function\$/\$function\$ SELECT 'info', 'x', 'y', (1 \/ (SELECT 0))::text \$function\$/s;
sql($broken);
like(sql($health), qr/^warning . health . could not look at pauses: division by zero/m, 'an error of a part');
sql($ill);

# ---- the owner is no superuser any more
$node->safe_psql('postgres', q{
CREATE ROLE boss SUPERUSER LOGIN;
CREATE DATABASE two OWNER boss});
$node->safe_psql('two', q{
SET SESSION AUTHORIZATION boss;
CREATE EXTENSION line_notify;
SELECT line_notify.create_channel('shop', api_base => 'http://127.0.0.1:1', line_channel_id => '2');
SELECT line_notify.set_credential('shop', 'access_token', 'x');
UPDATE line_notify.channel SET ca_file = '/nonexistent/ca.pem';
RESET SESSION AUTHORIZATION;
ALTER ROLE boss NOSUPERUSER});
like($node->safe_psql('two', $health), qr/^error . channel shop . ca_file does not exist on this server/m, 'an owner who is no superuser: health() sees the file');
unlike($node->safe_psql('two', $health), qr/could not look/, 'and everything else');
$node->safe_psql('postgres', 'DROP DATABASE two WITH (FORCE)');

# ---- an event trigger that lets nobody make tables
sql('DELETE FROM line_notify.history; DELETE FROM line_notify.attempt_log');
sql(q{
CREATE FUNCTION public.no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'ask the administrator'; END $$;
DO $$ DECLARE p regclass; BEGIN FOR p IN SELECT partition FROM line_notify._history_partitions() LOOP EXECUTE format('DROP TABLE %s', p); END LOOP; END $$;
CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION public.no_ddl();
});
$node->restart;		# what it remembers of partitions is gone
$node->insert('postgres', 5, first => 100);
sees('error . database . there is no partition of line_notify.history.*Event trigger no_ddl may refuse it', 'an event trigger in the way: error');
sees('error . channel shop . template messages wait: claim failed', 'and the channel says what it waits for');
is(sql("SELECT count(*) FROM line_notify.notifications WHERE error LIKE 'in quarantine%'"), 0, 'it is no fault of the messages');
sql('DROP EVENT TRIGGER no_ddl');
$node->wait_states('postgres', accepted => 5);
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.health()'), 'it is gone: they are sent') or diag(sql($health));

# ---- a trigger of the owner's that refuses rows
sql(q{
CREATE FUNCTION public.no_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$;
CREATE TRIGGER no_row BEFORE INSERT ON line_notify.in_flight FOR EACH ROW EXECUTE FUNCTION public.no_row()});
$node->insert('postgres', 2, first => 200);
sees('(warning|error) . channel shop . 2 messages could not be claimed and are in quarantine for an hour, such as [0-9]+: in quarantine: claiming messages: not this one', 'quarantine is no secret');
sql('DROP TRIGGER no_row ON line_notify.in_flight; SELECT line_notify.reschedule(send_after => now(), ids => ARRAY(SELECT id FROM line_notify.outbox))');
$node->wait_states('postgres', accepted => 7);
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.health()'), 'and ends') or diag(sql($health));

# ---- no place for the journal
my $dir = $node->data_dir . '/pg_stat_tmp';
SKIP:
{
	skip 'root is not stopped by permissions', 2 if $> == 0;
	chmod 0500, $dir;
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'line_notify worker'");
	sql(q{UPDATE pg_extension SET extversion = extversion; SELECT line_notify._wake()});
	$node->insert('postgres', 1, first => 300);
	sees('worker . the worker stopped with an error.*pg_stat_tmp', 'pg_stat_tmp cannot be written to');
	chmod 0700, $dir;
	$node->wait_states('postgres', accepted => 8);
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM line_notify.health()'), 'and again it can');
}

$node->stop;
$sim->stop;
done_testing();
