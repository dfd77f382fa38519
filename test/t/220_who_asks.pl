# Who asks is the current user: not who logged in, not who gave the command.
# Every function and view that asks is called in six ways: by the role itself;
# from a trigger of its own under a foreign key's ON DELETE CASCADE that a
# superuser fires; from its SECURITY DEFINER function that a superuser calls, and
# that a role without any grant calls; under SET ROLE and SET SESSION
# AUTHORIZATION.  The answer is the same.  They are enumerated from the catalog:
# one that is not listed here fails the test.
# TAP: several logins; reads the source.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $root = $ENV{LN_SRC} // File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.enabled' => 'off');
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }

# ---- a channel of theirs, a channel of others, messages of each -----------
my %grants = (
	eve => "grant_sender('eve', '{other}')",
	olga => "grant_operator('olga')",
	sue => "grant_support('sue')",
	pia => "grant_privacy('pia')");
my @roles = sort keys %grants;
sql(q{SELECT line_notify.create_channel('other', api_base => 'http://127.0.0.1:1');
	CREATE TABLE parent (id int PRIMARY KEY)});
sql("CREATE ROLE $_ LOGIN; SELECT line_notify.$grants{$_}") for @roles;
# the decision is the function's, when somebody was given more than by us
sql('GRANT EXECUTE ON FUNCTION line_notify.create_channel, line_notify.alter_channel, line_notify.set_credential TO eve;
	CREATE ROLE nobody LOGIN');
sql(q{INSERT INTO line_notify.outbox (id, channel, recipient, template_key, reference, batch, expires_at, state, due_at, home, created_at)
		SELECT i, CASE i WHEN 1 THEN 'shop' ELSE 'other' END, repeat('a', 64), 'tpl', 'r' || i, 'b', '2100-01-01', 'queued', now(), c.home, now()
		FROM generate_series(1, 2) i, line_notify.channel c WHERE c.name = 'shop';
	DO $$ BEGIN PERFORM line_notify._ensure_history(4);
	INSERT INTO line_notify.history (id, channel, template_key, state, outcome, batch, created_at, ended_at)
		SELECT i, CASE i WHEN 3 THEN 'shop' ELSE 'other' END, 'tpl', 'failed', 'refused', 'b', now(), now() FROM generate_series(3, 4) i; END $$;
	SELECT line_notify.set_consumer('mail', 'other')});

# ---- what each of them answers -------------------------------------------
my $record = ["SELECT format('%s by %s', function, role) FROM line_notify.operations ORDER BY seq DESC LIMIT 1"];
my $denied = qr/^42501: permission denied to (?:set api_base|read a credential)/;
my $number = "'090-1234-5678'";
my %functions = (
	_viewer => [ eve => "SELECT format('%s %s', everything, channels) FROM line_notify._viewer()", 'f {other}' ],
	_hold_ups => [ eve => "SELECT string_agg(DISTINCT channel, ' ') FROM line_notify._hold_ups()", 'other' ],
	take_outcomes => [ eve => 'SELECT string_agg(message_channel, $$ $$) FROM line_notify.take_outcomes()', 'other' ],
	wait_for => [ eve => "SELECT format('%s %s', line_notify.wait_for(3, '0'), line_notify.wait_for(4, '0'))", ' failed' ],
	create_channel => [ eve => "SELECT line_notify.create_channel('x', api_base => 'http://127.0.0.1:9')::text", $denied ],
	alter_channel => [ eve => "SELECT line_notify.alter_channel('shop', api_base => 'http://127.0.0.1:9')::text", $denied ],
	set_credential => [ eve => "SELECT line_notify.set_credential('shop', 'channel_secret', 'file:/etc/passwd')::text", $denied ],
	_messages_update => [ eve => "UPDATE line_notify.messages SET send_after = '2050-01-01' WHERE state = 'queued'", 'reschedule by eve', @$record ],
	_messages_delete => [ eve => "DELETE FROM line_notify.messages WHERE state = 'queued'", 'cancel by eve', @$record ],
	cancel => [ olga => 'SELECT FROM line_notify.cancel(ids => $${1}$$)', 'cancel by olga', @$record ],
	reschedule => [ olga => 'SELECT FROM line_notify.reschedule(ids => $${1}$$, send_after => $$2050-01-01$$, expires_at => $$2051-01-01$$)', 'reschedule by olga', @$record ],
	redrive => [ olga => 'SELECT FROM line_notify.redrive(ids => $${3}$$)', 'redrive by olga', @$record ],
	pause => [ olga => "SELECT line_notify.pause('shop')", 'pause by olga', @$record ],
	resume => [ olga => "SELECT line_notify.resume('shop')", 'resume by olga', @$record ],
	set_consumer => [ olga => "SELECT line_notify.set_consumer('crm', 'shop')", 'set_consumer by olga', @$record ],
	drop_consumer => [ olga => "SELECT line_notify.drop_consumer('mail')", 'drop_consumer by olga', @$record ],
	_note_drain => [ olga => 'SELECT line_notify._note_drain(1)', 'drain by olga', @$record ],
	find_notifications => [ sue => "SELECT FROM line_notify.find_notifications(reference => 'r1')", 'find_notifications by sue', @$record ],
	suppress_recipient => [ pia => "SELECT line_notify.suppress_recipient($number)", 'suppress_recipient by pia', @$record ],
	unsuppress_recipient => [ pia => "SELECT line_notify.unsuppress_recipient($number)", 'unsuppress_recipient by pia', @$record ],
	forget_recipient => [ pia => "SELECT line_notify.forget_recipient($number)", 'forget_recipient by pia', @$record ]);
my %views = (
	notifications => [ eve => 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM line_notify.notifications', '2 4' ],
	messages => [ eve => 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM line_notify.messages', '2 4' ],
	batches => [ eve => 'SELECT string_agg(channel, $$ $$) FROM line_notify.batches', 'other' ],
	attempts => [ eve => 'SELECT string_agg(id::text, $$ $$) FROM line_notify.attempts', '4' ]);
my $row = "'090-1234-5678', 'parcel_delivery', 'tpl'";
my $not_theirs = qr/^42501: permission denied to send through channel "shop"/;
# what asks in C: the insert trigger, check_message()
my %inserts = (
	'INSERT INTO outbox' => [ eve => "INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('shop', $row)", $not_theirs ],
	'INSERT INTO messages' => [ eve => "INSERT INTO line_notify.messages (channel, phone, use_case, template_key) VALUES ('shop', $row)", $not_theirs ],
	'enqueue()' => [ eve => "SELECT line_notify.enqueue($row, channel => 'shop')", $not_theirs ],
	'check_message()' => [ eve => "SELECT count(*)::text FROM line_notify.check_message('template', '{}', 'reminder', 'shop')",
		qr/^42501: permission denied to check a message against a channel/ ],
	'a chosen id' => [ eve => "INSERT INTO line_notify.outbox (id, channel, phone, use_case, template_key) VALUES (99, 'other', $row)",
		qr/^42501: permission denied to choose the id/ ]);

# ---- none is forgotten ----------------------------------------------------
is(sql(q{SELECT string_agg(p.proname, ' ' ORDER BY p.proname COLLATE "C") FROM pg_proc p
	JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = 'line_notify_plpgsql'}),
	join(' ', sort keys %functions), 'every function in line_notify_plpgsql is called here');
is(sql(q{SELECT string_agg(DISTINCT c.relname, ' ' ORDER BY c.relname) FROM pg_depend d
	JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid JOIN pg_language l ON l.oid = p.prolang
	JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
	WHERE l.lanname = 'line_notify_plpgsql'}),
	join(' ', sort keys %views), 'and every view that has one');
# who asks is only known there: any other function that calls the question, or
# one of them (texts apart, which name functions in hints), is for nobody but the
# owner, and not SECURITY DEFINER
is(sql(q{
	WITH RECURSIVE ours AS MATERIALIZED (
		SELECT p.oid, p.proname, p.prolang, regexp_replace(p.prosrc, '--[^\n]*|''[^'']*''', '', 'g') AS code
		FROM pg_proc p WHERE p.pronamespace = 'line_notify'::regnamespace),
	asks AS (
		SELECT p.oid, p.proname, p.prolang FROM ours p
		WHERE (p.proname ~ '^_caller' OR p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'line_notify_plpgsql'))
		UNION
		SELECT p.oid, p.proname, p.prolang FROM ours p, asks a
		WHERE p.code ~ ('line_notify\.' || a.proname || '\M'))
	SELECT string_agg(p.oid::regprocedure::text, ', ') FROM asks a JOIN pg_proc p ON p.oid = a.oid
	WHERE p.prosecdef
	   OR a.prolang <> (SELECT l.oid FROM pg_language l WHERE l.lanname = 'line_notify_plpgsql')
		  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x WHERE x.grantee <> p.proowner)}), '',
	'no function that asks who asks is SECURITY DEFINER, or for others and in another language');
is(sql(q{SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
	WHERE p.pronamespace = 'line_notify'::regnamespace AND p.prosrc ~* '\mcurrent_(user|role)\M'}), '', 'none asks SQL, which would say the owner');
is(sql(q{SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
	WHERE l.lanname = 'line_notify_plpgsql' AND (p.proconfig IS NULL OR NOT 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig))}), '',
	'every one has a pinned search_path');
is(join(' ', grep { slurp_file($_) =~ /GetOuterUserId/ } glob("$root/src/*/*.c")), '', 'nor is the outer user asked for in C');
# what a validator would have said at CREATE FUNCTION
sql(q{DO $do$ DECLARE f text; BEGIN
	FOR f IN SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = 'line_notify_plpgsql' LOOP
		EXECUTE replace(replace(f, 'LANGUAGE line_notify_plpgsql', 'LANGUAGE plpgsql'), 'FUNCTION line_notify.', 'FUNCTION pg_temp.');
	END LOOP; END $do$});

# ---- six ways ------------------------------------------------------------
sql(q{GRANT REFERENCES ON parent TO PUBLIC; GRANT SELECT ON line_notify.operations TO eve, sue, pia;
	CREATE FUNCTION probe(ask text, told text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE r text; BEGIN
		IF told IS NULL THEN EXECUTE ask INTO r; ELSE EXECUTE ask; EXECUTE told INTO r; END IF;
		RETURN r;
	EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ': ' || SQLERRM; END $$});
for my $role (@roles)
{
	sql(qq{CREATE SCHEMA ${role}_schema AUTHORIZATION $role; GRANT USAGE ON SCHEMA ${role}_schema TO PUBLIC;
		SET SESSION AUTHORIZATION $role; SET search_path = ${role}_schema, public;
		CREATE TABLE child (parent int REFERENCES parent ON DELETE CASCADE, ask text, told text);
		CREATE TABLE loot (r text);
		CREATE FUNCTION bite() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
			INSERT INTO ${role}_schema.loot VALUES (public.probe(OLD.ask, OLD.told)); RETURN OLD; END \$\$;
		CREATE TRIGGER bite BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION bite();
		CREATE FUNCTION wrapper(ask text, told text) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT public.probe(ask, told)'});
}
my %all = (%functions, %views, %inserts);
for my $name (sort keys %all)
{
	my ($role, $ask, $want, $told) = @{ $all{$name} };
	my $call = sprintf('probe($ask$%s$ask$, %s)', $ask, defined $told ? "\$told\$$told\$told\$" : 'NULL');
	my %ways = (
		directly => [ $role, "SELECT $call" ],
		'under a cascade' => [ undef, "INSERT INTO parent VALUES (1); INSERT INTO ${role}_schema.child SELECT 1, x.* FROM (VALUES (\$ask\$$ask\$ask\$, "
			. (defined $told ? "\$told\$$told\$told\$" : 'NULL::text') . ")) x; DELETE FROM parent; SELECT r FROM ${role}_schema.loot" ],
		'by a superuser through a definer function' => [ undef, "SELECT ${role}_schema.wrapper" . substr($call, 5) ],
		'by a role without a grant through it' => [ 'nobody', "SELECT ${role}_schema.wrapper" . substr($call, 5) ],
		'under SET ROLE' => [ undef, "SET LOCAL ROLE $role; SELECT $call" ],
		'under SET SESSION AUTHORIZATION' => [ undef, "SET LOCAL SESSION AUTHORIZATION $role; SELECT $call" ]);
	for my $way (sort keys %ways)
	{
		my ($login, $statement) = @{ $ways{$way} };
		my ($rc, $out, $err) = $node->psql('postgres', "BEGIN; $statement; ROLLBACK", extra_params => $login ? [ '-U', $login ] : []);
		my $text = "$name $way is for $role";
		ref $want ? like($out, $want, $text) : is($out, $want, $text);
		diag($err) if $err ne '';
	}
}

# ---- a member that does not inherit asks for nobody before SET ROLE ---------
sql('CREATE ROLE kim LOGIN NOINHERIT; GRANT eve TO kim');
my ($rc, $out, $err) = $node->psql('postgres', $functions{_viewer}[1], extra_params => [ '-U', 'kim' ]);
like($err, qr/permission denied to see messages of line_notify/, 'a NOINHERIT member is nobody');
($rc, $out, $err) = $node->psql('postgres', "SET ROLE eve; $functions{_viewer}[1]", extra_params => [ '-U', 'kim' ]);
like($out, qr/^f \{other\}$/m, 'until it has set the role');

# ---- the record names both -------------------------------------------------
sql("SELECT olga_schema.wrapper('SELECT line_notify.pause(\$\$shop\$\$)', NULL)");
my $super = sql('SELECT current_user');
is(sql('SELECT role, login FROM line_notify.operations ORDER BY seq DESC LIMIT 1'), "olga|$super", 'operations has current and session user');
is(sql("SELECT pause_reason FROM line_notify.channels WHERE name = 'shop'"), 'by an operator (olga)', 'a pause says who');

# ---- code of others within a function of ours asks for itself ---------------
sql(q{CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO eve_schema.loot VALUES (eve_schema.wrapper('SELECT string_agg(id::text, $q$ $q$ ORDER BY id) FROM line_notify.notifications', NULL)); RETURN NULL; END$$;
	CREATE TRIGGER spy AFTER INSERT ON line_notify.operations FOR EACH ROW EXECUTE FUNCTION spy();
	SELECT line_notify.pause('shop'); DROP TRIGGER spy ON line_notify.operations});
is(sql('DELETE FROM eve_schema.loot RETURNING r'), '2 4', 'a definer function that a trigger of ours calls');
# and an error leaves nobody behind
($rc, $out, $err) = $node->psql('postgres', "DO \$\$BEGIN PERFORM line_notify.take_outcomes(0); EXCEPTION WHEN OTHERS THEN NULL; END\$\$; SELECT line_notify._caller()");
like($err, qr/no function in language "line_notify_plpgsql" is running/, 'nor after an error in one');
is($out, '', 'which is nobody any more');

# ---- an owner's index is built by a superuser, or by autovacuum ------------
sql(q{SET SESSION AUTHORIZATION eve; SET search_path = eve_schema;
	CREATE TABLE t (x int); INSERT INTO t VALUES (1);
	CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN 1; END$$;
	CREATE INDEX ON t (f(x));
	CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $$BEGIN
		INSERT INTO eve_schema.loot SELECT string_agg(id::text, ' ' ORDER BY id) FROM line_notify.notifications;
		INSERT INTO eve_schema.loot VALUES (public.probe('SELECT line_notify.alter_channel($q$shop$q$, api_base => $q$http://127.0.0.1:9$q$)::text', NULL)); END$$;
	CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM eve_schema.g(); RETURN 1; END$$});
sql('ANALYZE eve_schema.t');
is(sql("SELECT DISTINCT split_part(r, ',', 1) FROM eve_schema.loot ORDER BY 1"), "2 4\n42501: permission denied to set api_base", 'ANALYZE of a table asks as its owner');

# ---- who was given all functions does not get around it --------------------
sql('CREATE ROLE admin LOGIN; GRANT EXECUTE ON ALL ROUTINES IN SCHEMA line_notify TO admin');
for my $try ('line_notify._caller()', 'line_notify._caller_is_superuser()', "line_notify._log_search('x', 'y')", "line_notify._log_operation('x', '{}', false, 0)")
{
	($rc, $out, $err) = $node->psql('postgres', "SELECT $try", extra_params => [ '-U', 'admin' ]);
	like($err, qr/no function in language "line_notify_plpgsql" is running|permission denied for table/, "$try does not answer by itself");
}
($rc, $out, $err) = $node->psql('postgres', 'SELECT line_notify._call_handler()', extra_params => [ '-U', 'admin' ]);
isnt($rc, 0, 'nor does the handler do anything by itself') or diag($out);
($rc, $out, $err) = $node->psql('postgres', "CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE line_notify_plpgsql AS 'BEGIN END'", extra_params => [ '-U', 'admin' ]);
like($err, qr/permission denied for language line_notify_plpgsql/, 'nor can others write functions in the language');

$node->stop;
$sim->stop;
done_testing();
