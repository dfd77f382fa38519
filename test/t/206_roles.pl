# The table in doc/roles.md is true: each role of it has exactly the privileges
# that stand there, and what does not stand there is for the owner only, or a
# pure function for everybody.  And the rights cannot be stretched: not through
# objects of the attacker's own, not through triggers, not through search_path.
# TAP: reads the documentation.   LN_UPDATE=1 prints the table as it is.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $root = $ENV{LN_SRC} // File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }
my @roles = qw(nobody sender support operator webhook privacy monitor);
sql("CREATE ROLE ${_}_role LOGIN") for @roles;
sql("SELECT line_notify.grant_sender('sender_role'); SELECT line_notify.grant_support('support_role');
	SELECT line_notify.grant_operator('operator_role'); SELECT line_notify.grant_webhook('webhook_role');
	SELECT line_notify.grant_privacy('privacy_role'); GRANT pg_monitor TO monitor_role");

# object => role => privileges; internal helpers (_name) left out
my %is;
my $rows = sql(q{
	SELECT p.proname, r.role, 'X', p.provolatile IN ('i', 's') AND NOT p.prosecdef
	FROM pg_proc p, unnest('{nobody,sender,support,operator,webhook,privacy,monitor}'::text[]) r(role)
	WHERE p.pronamespace = 'line_notify'::regnamespace AND p.proname !~ '^_' AND has_function_privilege(r.role || '_role', p.oid, 'EXECUTE')
	UNION ALL
	SELECT c.relname, r.role, string_agg(k.letter, '' ORDER BY k.letter), false
	FROM pg_class c, unnest('{nobody,sender,support,operator,webhook,privacy,monitor}'::text[]) r(role),
		 (VALUES ('S', 'SELECT'), ('I', 'INSERT'), ('U', 'UPDATE'), ('D', 'DELETE'), ('T', 'TRUNCATE')) k(letter, privilege)
	WHERE c.relnamespace = 'line_notify'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'm', 'S')
	  AND (has_table_privilege(r.role || '_role', c.oid, k.privilege)
		   OR k.letter IN ('S', 'I', 'U') AND c.relkind <> 'S' AND has_any_column_privilege(r.role || '_role', c.oid, k.privilege))
	GROUP BY 1, 2});
my %pure;
for (split /\n/, $rows)
{
	my ($object, $role, $letters, $is_pure) = split /\|/;
	$is{$object}{$role} = $letters;
	$pure{$object} = 1 if $is_pure eq 't';
}
# what everybody may do and changes nothing needs no row
for my $object (keys %is)
{
	delete $is{$object} if $pure{$object} && keys %{ $is{$object} } == @roles;
}
my $table = join '', map { my $o = $_; "| `$o` | " . join(' | ', map { $is{$o}{$_} // '' } @roles) . " |\n" } sort keys %is;
print STDERR "$table\n" if $ENV{LN_UPDATE};

my %says;
open(my $f, '<', "$root/doc/roles.md") or die "doc/roles.md: $!";
while (<$f>)
{
	next unless /^\| `(\w+)` \|(.*)\|\s*$/;
	my ($object, @cells) = ($1, split /\|/, $2, -1);
	s/\s//g for @cells;
	is(scalar(@cells), scalar(@roles), "$object: a cell for each role") or next;
	$says{$object} = { map { $cells[$_] ne '' ? ($roles[$_] => $cells[$_]) : () } 0 .. $#roles };
}
cmp_ok(scalar(keys %says), '>', 20, 'doc/roles.md has a table');
for my $object (sort keys %{ { %says, %is } })
{
	is_deeply($is{$object} // {}, $says{$object} // {}, "$object: as documented");
}

# secrets: not even pg_read_all_data
sql('CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader');
is($node->safe_psql('postgres', 'SET ROLE reader; SELECT count(*) FROM line_notify.credential'), 0,
	'pg_read_all_data sees no credential');

# revoked again, nothing is left
sql("SELECT line_notify.revoke_sender('sender_role'); SELECT line_notify.revoke_support('support_role');
	SELECT line_notify.revoke_operator('operator_role'); SELECT line_notify.revoke_webhook('webhook_role');
	SELECT line_notify.revoke_privacy('privacy_role')");
is(sql(q{SELECT count(*) FROM pg_proc p, unnest('{sender,support,operator,webhook,privacy}'::text[]) r(role)
	WHERE p.pronamespace = 'line_notify'::regnamespace AND has_function_privilege(r.role || '_role', p.oid, 'EXECUTE')
	  AND NOT has_function_privilege('nobody_role', p.oid, 'EXECUTE')}), 0, 'no function is left after revoke');
is(sql(q{SELECT count(*) FROM pg_class c, unnest('{sender,support,operator,webhook,privacy}'::text[]) r(role)
	WHERE c.relnamespace = 'line_notify'::regnamespace AND c.relkind IN ('r', 'v', 'p')
	  AND has_any_column_privilege(r.role || '_role', c.oid, 'SELECT,INSERT,UPDATE,REFERENCES')
	  AND NOT has_any_column_privilege('nobody_role', c.oid, 'SELECT,INSERT,UPDATE,REFERENCES')}), 0, 'no table is left after revoke');

# every function with the owner's rights pins its search_path; none is for everybody
is(sql(q{SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
	WHERE p.pronamespace = 'line_notify'::regnamespace AND p.prosecdef
	  AND (p.proconfig IS NULL OR NOT 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig))}), '',
	'every SECURITY DEFINER function has a pinned search_path');
is(sql(q{SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
	WHERE p.pronamespace = 'line_notify'::regnamespace
	  AND (p.prosecdef OR p.prolang = (SELECT l.oid FROM pg_language l WHERE l.lanname = 'line_notify_plpgsql'))
	  AND p.proname NOT IN ('_viewer', '_hold_ups', '_local_home')	-- used in views and checks for all
	  AND has_function_privilege('nobody_role', p.oid, 'EXECUTE')}), '',
	'none of them that acts is for everybody');
is(sql(q{SELECT string_agg(c.relname, ', ') FROM pg_class c
	WHERE c.relnamespace = 'line_notify'::regnamespace AND obj_description(c.oid) IS NULL AND c.relkind IN ('r', 'v', 'p')
	  AND NOT c.relispartition}), '', 'every table and view has a comment');

# an attacker's operators and functions in the way
sql(q{SELECT line_notify.grant_sender('sender_role'); GRANT CREATE ON DATABASE postgres TO sender_role;});
my ($rc, $out, $err) = $node->psql('postgres', q{
	SET ROLE sender_role;
	CREATE SCHEMA evil;
	CREATE FUNCTION evil.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'stretched: %', current_user; END$$;
	CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.eq);
	CREATE FUNCTION evil.eq(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'stretched: %', current_user; END$$;
	CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.eq);
	CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'stretched: %', current_user; END$$;
	CREATE TEMP TABLE channel (name text, home bigint);
	SET search_path = evil, pg_temp, pg_catalog, line_notify;
	INSERT INTO line_notify.outbox (phone, use_case, template_key, body) VALUES ('090-1234-5678', 'parcel_delivery', 'shipment_completed_ja', '{}');
	SELECT count(*) FROM line_notify.notifications;
	INSERT INTO line_notify.messages (phone, use_case, template_key, body, dedup_key) VALUES ('090-1234-5678', 'parcel_delivery', 'shipment_completed_ja', '{}', 'twice');
	INSERT INTO line_notify.messages (phone, use_case, template_key, body, dedup_key) VALUES ('090-1234-5678', 'parcel_delivery', 'shipment_completed_ja', '{}', 'twice') RETURNING state;
});
is($err, '', 'objects of an attacker on the search_path are not used');
for my $try ("UPDATE line_notify.outbox SET state = 'queued'", 'DELETE FROM line_notify.outbox', 'SELECT recipient FROM line_notify.outbox',
	'SELECT body FROM line_notify.outbox', 'SELECT * FROM line_notify.history', 'SELECT * FROM line_notify.credential',
	'CREATE TRIGGER t BEFORE INSERT ON line_notify.outbox EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	"INSERT INTO line_notify.outbox (recipient, state, home, due_at, created_at, expires_at, channel) VALUES (repeat('0', 64), 'queued', 1, now(), now(), now(), 'shop')",
	"SELECT line_notify.set_credential('shop', 'access_token', 'x')", "SELECT line_notify.pause('shop')", "SELECT line_notify.arm()",
	"SELECT line_notify._finish('{1}', 'cancelled', 'x')", 'CREATE FUNCTION line_notify.f() RETURNS int LANGUAGE sql AS $$SELECT 1$$')
{
	($rc, $out, $err) = $node->psql('postgres', "SET ROLE sender_role; $try");
	like($err, qr/permission denied|must be owner/, "a sender may not: $try");
}

# where messages and tokens go is a superuser's decision
sql('CREATE ROLE admin LOGIN');
sql("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA line_notify TO admin");

# a superuser's (or autovacuum's) ANALYZE calls the functions of an index: with the owner's rights, no more
sql("SELECT line_notify.create_channel('other'); CREATE ROLE eve LOGIN; SELECT line_notify.grant_sender('eve', '{other}');
	GRANT EXECUTE ON FUNCTION line_notify.alter_channel, line_notify.set_credential TO eve;
	CREATE SCHEMA bait AUTHORIZATION eve");
for my $try ('INSERT INTO bait.loot SELECT reference FROM line_notify.notifications', 'INSERT INTO bait.loot SELECT reference FROM line_notify.take_outcomes()',
	"PERFORM line_notify.alter_channel('other', api_base => 'http://127.0.0.1:9')",
	"PERFORM line_notify.set_credential('other', 'channel_secret', 'file:/etc/passwd')")
{
	sql(qq{SET SESSION AUTHORIZATION eve; SET client_min_messages = warning;
		DROP SCHEMA bait CASCADE;
		RESET SESSION AUTHORIZATION; CREATE SCHEMA bait AUTHORIZATION eve; SET SESSION AUTHORIZATION eve;
		CREATE TABLE bait.loot (t text); CREATE TABLE bait.t (x int); INSERT INTO bait.t VALUES (1);
		CREATE FUNCTION bait.f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \$\$BEGIN RETURN 1; END\$\$;
		CREATE INDEX ON bait.t (bait.f(x));
		CREATE FUNCTION bait.g() RETURNS void LANGUAGE plpgsql AS \$\$BEGIN $try; END\$\$;
		CREATE OR REPLACE FUNCTION bait.f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS \$\$BEGIN PERFORM bait.g(); RETURN 1; END\$\$;});
	($rc, $out, $err) = $node->psql('postgres', 'ANALYZE bait.t; SELECT count(*) FROM bait.loot');
	if ($try =~ /^INSERT/) { is($out, 0, "no message of others by way of an index: $try"); }
	else { like($err, qr/permission denied to (?:set api_base|read a credential)/, "not by way of an index: $try"); }
}
for my $base ('http://169.254.169.254', 'https://evil.example', 'http://localhost:8080')
{
	($rc, $out, $err) = $node->psql('postgres', "SET ROLE admin; SELECT line_notify.alter_channel('shop', api_base => '$base')");
	like($err, qr/permission denied to set api_base/, "only a superuser points a channel to $base");
}
for my $base ('http://example.com', 'ftp://localhost', 'https://user:pw@api.line.me', 'https://api.line.me/path', "https://a\nb", 'file:///etc/passwd')
{
	($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.alter_channel('shop', api_base => E'$base')");
	like($err, qr/invalid value for a channel setting/, 'nobody does to this');
}
for my $value ("x\r\nX-Evil: 1", 'x y', '', "\x7f")
{
	($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.set_credential('shop', 'access_token', E'$value')");
	like($err, qr/a credential has/, 'a token that would break a header is refused');
}
($rc, $out, $err) = $node->psql('postgres', "SET ROLE admin; SELECT line_notify.set_credential('shop', 'access_token', 'file:/etc/passwd')");
like($err, qr/permission denied to read a credential from a server file/, 'server files only for those who may read them');

$node->stop;
$sim->stop;
done_testing();
