# What SECURITY.md promises and no other test shows end to end: objects of an
# attacker around CREATE EXTENSION and later, redirects, what LINE or a caller
# writes into our log, and the trigger that sends with another's right.  And
# every test that SECURITY.md names is there.
# TAP: reads the documentation; several roles; a second server that must not be
# called.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use JSON::PP ();
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $root = $ENV{LN_SRC} // File::Spec->rel2abs(dirname(__FILE__) . '/../..');

# ---- SECURITY.md names its proofs ----------------------------------------
my $rows = 0;
for my $row (grep { /^\|/ && !/^\|-|^\| threat/ } split /\n/, slurp_file("$root/SECURITY.md"))
{
	my (undef, $threat, undef, $shown) = split /\s*\|\s*/, $row;
	my @tests = $shown =~ /`([\w\/.-]+\.(?:pl|sql|c|spec|sh))`/g;
	my @missing = grep { !-e "$root/$_" && !-e "$root/test/t/$_" && !-e "$root/test/unit/$_" && !-e "$root/test/fuzz/$_" } @tests;
	ok(@tests && !@missing, "$threat: shown by @tests") or diag("missing: @missing");
	$rows++;
}
cmp_ok($rows, '>', 10, 'SECURITY.md has a table');

# ---- hostile objects -----------------------------------------------------
my $sim = LineNotify::Sim->start;
my $elsewhere = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub refused
{
	my ($sql, $why, $name) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql);
	like($err, $why, $name);
	return;
}

sql('CREATE ROLE mallory LOGIN; CREATE ROLE shop LOGIN; GRANT CREATE ON SCHEMA public TO mallory, shop');
my @traps = (
	(map { "CREATE FUNCTION public.$_ LANGUAGE plpgsql AS \$\$BEGIN RAISE EXCEPTION 'stretched: %', current_user; END\$\$" }
		'clock_timestamp() RETURNS timestamptz', 'lower(text) RETURNS text', 'format(text, text) RETURNS text', 'count(text) RETURNS bigint',
		'coalesce_(text) RETURNS text', 'eq(text, text) RETURNS boolean', 'cat(text, text) RETURNS text', 'eq(text, name) RETURNS boolean',
		'arrow(jsonb, text) RETURNS text', 'pg_notify(text, text) RETURNS void', 'quote_literal(text) RETURNS text', 'unnest(text[]) RETURNS SETOF text'),
	'CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = public.eq)',
	'CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = name, FUNCTION = public.eq)',
	'CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = public.cat)',
	'CREATE OPERATOR public.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = public.arrow)',
	'CREATE TYPE public.use_case AS ENUM (\'mine\')', 'CREATE TYPE public.message_state AS ENUM (\'mine\')',
	'CREATE TABLE public.channel (name text, home bigint, api_base text)', 'CREATE TABLE public.outbox (id int)', 'CREATE TABLE public.history (id int)',
	'CREATE VIEW public.health AS SELECT 1');
sql("SET ROLE mallory; $_") for @traps;
my $path = "SET search_path = public, pg_temp, pg_catalog";
sql("$path; CREATE EXTENSION line_notify");
ok(1, 'CREATE EXTENSION does not look at them');
is(sql("SELECT count(*) FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
	LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
	LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
	WHERE e.extname = 'line_notify' AND coalesce(p.pronamespace, c.relnamespace) <> 'line_notify'::regnamespace"), 0,
	'all of ours is in our schema');
is(sql("SELECT count(*) FROM pg_depend d
	JOIN pg_namespace n ON n.nspname = 'public' JOIN pg_proc p ON p.pronamespace = n.oid AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
	WHERE d.classid <> 'pg_operator'::regclass AND d.deptype = 'n'"), 0, 'and nothing of it refers to theirs');
sql("$path; SELECT line_notify.create_channel('shop', api_base => '" . $sim->url . "', line_channel_id => '1');
	SELECT line_notify.set_credential('shop', 'access_token', '" . $sim->token . "')");
sql("SELECT line_notify.grant_sender('shop'); SELECT line_notify.grant_operator('shop')");
my $insert = "INSERT INTO line_notify.outbox (phone, use_case, template_key, reference) VALUES ('090-1234-5678', 'parcel_delivery', 'shipment_completed_ja', ";
sql("SET ROLE shop; $path; $insert 'first')");
ok($node->poll_query_until('postgres', "SELECT pg_catalog.count(*) = 1 FROM line_notify.notifications WHERE state = 'accepted'"), 'a message is sent');
for my $use ('SELECT * FROM line_notify.health()', "SELECT * FROM line_notify.cancel(reference => 'x')", 'SELECT * FROM line_notify.notifications',
	'SELECT * FROM line_notify.take_outcomes()', "SELECT * FROM line_notify.find_notifications(reference => 'x')", 'SELECT * FROM line_notify.batches',
	"SELECT line_notify.pause('shop', use_case => 'reminder')", "SELECT line_notify.resume('shop')", "SELECT * FROM line_notify.redrive(reference => 'x')",
	'SELECT * FROM line_notify.channels', 'SELECT * FROM line_notify.attempts', 'SELECT * FROM line_notify.engagement', 'SELECT * FROM line_notify.reconciliation',
	"SELECT line_notify.enqueue('090-1234-5678', 'parcel_delivery', template_key => 'x', options => '{\"send_after\": \"2090-01-01\", \"expires_at\": \"2091-01-01\"}')")
{
	my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE shop; $path; $use");
	unlike($err, qr/stretched/, "not met by: $use");
}

# ---- the trigger that sends with the right of the table's owner -----------
sql('SET ROLE mallory; CREATE TABLE mine (id int PRIMARY KEY, phone text)');
my $trigger = "CREATE TRIGGER t AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION line_notify.enqueue_trigger('{\"use_case\": \"parcel_delivery\", \"template_key\": \"t\", \"phone\": \"{phone}\"}')";
refused('SET ROLE mallory; ' . sprintf($trigger, 'mine'), qr/permission denied for function \S*enqueue_trigger/, 'who may not execute it cannot put it on a table');
sql('SET ROLE shop; CREATE TABLE orders (id int PRIMARY KEY, phone text)');
sql('GRANT EXECUTE ON FUNCTION line_notify.enqueue_trigger() TO mallory');
refused('SET ROLE mallory; ' . sprintf($trigger, 'orders'), qr/permission denied for table orders/, 'nor on a table of somebody else');
my ($rc, $out, $err) = $node->psql('postgres', 'SET ROLE mallory; ' . sprintf($trigger, 'mine') . "; INSERT INTO mine VALUES (1, '090-1234-5678')");
like($err, qr/permission denied|may not send|not allowed/, 'and on a table of their own it has no right to send') or diag($err);
is(sql("SELECT pg_catalog.count(*) FROM line_notify.notifications WHERE reference = '1'"), 0, 'nothing was queued');

# ---- what others may ask of a channel ----------------------------------------
sql("SELECT line_notify.set_design('shop', 'secret-design', 'reminder', '[{\"type\": \"text\", \"text\": \"{any}\"}]'); SELECT line_notify.set_approval('shop', 'reminder')");
my $ask = "SELECT rule FROM line_notify.check_message('flexible', '{\"messages\": [{\"type\": \"image\"}]}', 'parcel_delivery', '%s')";
sql('CREATE ROLE other_shop LOGIN; CREATE ROLE staff LOGIN');
sql("SELECT line_notify.create_channel('other'); SELECT line_notify.grant_sender('other_shop', '{other}'); SELECT line_notify.grant_support('staff')");
refused("SET ROLE $_; " . sprintf($ask, 'shop'), qr/permission denied to check a message against a channel/, "$_ learns nothing of a channel by check_message()") for 'mallory', 'other_shop';
refused('SET ROLE mallory; ' . sprintf($ask, 'no-such-channel'), qr/permission denied to check/, 'nor whether there is one');
refused("SET ROLE mallory; SELECT line_notify.$_", qr/permission denied for function/, "nor by $_")
  for "_context_findings('flexible', '{}', NULL, 'shop')", "_refuses_unknown('shop', 10)";
like(sql("SET ROLE $_; " . sprintf($ask, 'shop')), qr/use_case_not_approved/, "$_ does") for 'shop', 'staff';
like(sql('SET ROLE mallory; ' . sprintf($ask =~ s/, '%s'//r)), qr/./, 'without a channel, everybody checks a message');
sql("SELECT line_notify.drop_channel('other'); SELECT line_notify.drop_design('shop', 'secret-design'); SELECT line_notify.drop_approval('shop', 'reminder')");

# ---- a number that stands in the wrong place --------------------------------
# in every text argument of every function, alone and with the others; from the catalog
my $calls = 0;
my %shown;
for my $function (split /\n/, sql(q{SELECT pg_catalog.concat_ws('|', p.proname, pg_catalog.oidvectortypes(p.proargtypes)) FROM pg_proc p
	WHERE p.pronamespace = 'line_notify'::regnamespace AND p.prorettype <> 'trigger'::regtype AND pg_catalog.oidvectortypes(p.proargtypes) ~ 'text'
	  AND p.proname NOT IN ('drain', 'wait_for') AND p.proname !~ '^_' ORDER BY 1}))
{
	my ($name, $types) = split /\|/, $function;
	my @types = split /, /, $types;
	my @text = grep { $types[$_] =~ /^text/ } 0 .. $#types;
	for my $these ((map { [$_] } @text), [@text])
	{
		my %here = map { ($_ => 1) } @$these;
		my $arguments = join ', ', map { ($here{$_} ? ($types[$_] eq 'text' ? "'090-1234-5678'" : "'{090-1234-5678}'") : $types[$_] eq 'text' ? "'shop'" : 'NULL') . "::$types[$_]" } 0 .. $#types;
		my ($rc, $out, $err) = $node->psql('postgres', "BEGIN; SELECT * FROM line_notify.$name($arguments)");
		$calls++;
		# what psql and the parser show of the statement is the client's
		$err =~ s/^(LINE \d+:|\s*\^|STATEMENT:).*$//mg;
		$shown{$name} = $err if $err =~ /1234-?5678/;
	}
}
cmp_ok($calls, '>', 150, "$calls calls with a number for a name");
is(join("\n", map { "$_: $shown{$_}" } sort keys %shown), '', 'and no error repeats it');

# where a value of another type is wanted it is PostgreSQL that repeats what it was given: as an
# argument of every type that a function of ours has, in every column, in every option
my $log_from = -s $node->logfile;
my @typed = (split(/\n/, sql(q{SELECT DISTINCT ON (t.type) pg_catalog.format('SELECT line_notify.%I(%s)', p.proname, (
			SELECT pg_catalog.string_agg(CASE WHEN a.i = t.i THEN '''090-1234-5678''' ELSE 'NULL' END || '::' || pg_catalog.format_type(a.type, NULL), ', ' ORDER BY a.i)
			FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY a(type, i)))
		FROM pg_proc p, pg_catalog.unnest(p.proargtypes) WITH ORDINALITY t(type, i)
		WHERE p.pronamespace = 'line_notify'::regnamespace AND p.proname !~ '^_' AND p.prokind = 'f' AND t.type NOT IN ('text'::regtype, 'text[]'::regtype, 'bytea'::regtype, 'regrole'::regtype)
		ORDER BY t.type, p.proname})),
	split(/\n/, sql(q{SELECT pg_catalog.format('INSERT INTO line_notify.%I (phone, %I) VALUES (''090-1234-5670'', ''090-1234-5678'')', c.relname, a.attname)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.oid IN ('line_notify.outbox'::regclass, 'line_notify.messages'::regclass) AND a.atttypid <> 'text'::regtype})),
	map { qq(SELECT line_notify.enqueue('090-1234-5670', 'reminder', 't', options => '{"$_": "090-1234-5678"}')) } qw(priority send_after spread expires_at notification_disabled));
cmp_ok(scalar(@typed), '>', 30, scalar(@typed) . ' statements with a number for a value of another type');
for my $typed (@typed)
{
	my ($rc, $out, $err) = $node->psql('postgres', $typed);
	$err =~ s/^(LINE \d+:|\s*\^).*$//mg;
	like($err, qr/ERROR/, 'refused: ' . substr($typed, 0, 60));
	unlike($err, qr/1234-?5678/, 'without the number');
}
# a line of COPY, to the client as well; its number and its column are told
($rc, $out, $err) = $node->psql('postgres', "COPY line_notify.outbox (channel, phone, use_case, template_key, priority) FROM stdin;\nshop\t1\treminder\tt\t0\nshop\t1\treminder\tt\t090-1234-5678\n\\.\n");
like($err, qr/line 2, column priority: /, 'COPY says where');
unlike($err, qr/1234-?5678/, 'and not what');
unlike(slurp_file($node->logfile, $log_from), qr/1234-?5678/, 'nor does the log');
# a quiet hour, a key that is not in the catalogue, the name of a property
sql("SELECT line_notify.alter_channel('shop', catalogue_only => true)");
for my $sql ("SELECT line_notify._quiet_until('090-1234-5678', 'Asia/Tokyo', now())", "SELECT line_notify._quiet_until('21:00-08:00', '090-1234-5678', now())",
	"INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('shop', '1', 'reminder', '09012345678')")
{
	my ($rc, $out, $err) = $node->psql('postgres', $sql);
	isnt($rc, 0, 'refused');
	unlike($err =~ s/^LINE \d+:.*//mgr, qr/1234-?5678/, 'without the number: ' . substr($err, 0, 60));
}
unlike(sql("SELECT pg_catalog.string_agg(f::text, ' ') FROM line_notify.check_message('template', '{\"templateKey\": \"09012345678\", \"body\": {\"items\": [{\"itemKey\": \"09012345678\", \"content\": \"x\"}]}}', 'reminder', 'shop') f"),
	qr/1234-?5678/, 'nor does check_message() say it');
sql("SELECT line_notify.alter_channel('shop', catalogue_only => false)");
is(sql(q{SELECT path FROM line_notify.check_message('flexible', '{"messages": [{"type": "text", "text": "x", "090-1234-5678": 1, "colour": 1}]}') ORDER BY 1}),
	qq(messages[0].colour\nmessages[0]["..."]), 'nor does a finding about a property');
# what is no number is said, and so is the number in a statement of others
($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.wait_for('soon 5')");
like($err, qr/type bigint: "soon 5"/, 'another value is repeated');
($rc, $out, $err) = $node->psql('postgres', "SELECT '090-1234-5678'::bigint");
like($err, qr/type bigint: "090-1234-5678"/, 'and a number elsewhere');
for my $sql ("INSERT INTO line_notify.outbox (channel, use_case, template_key) VALUES ('090-1234-5678', 'parcel_delivery', 'x')",
	"INSERT INTO line_notify.outbox (phone, channel, use_case, template_key) VALUES ('090-1234-5670', 'shop', '090-1234-5678'::text, 'x')",
	"INSERT INTO line_notify.outbox (phone, channel, use_case, template_key, region) VALUES ('090-1234-5670', 'shop', 'parcel_delivery', 'x', '090-1234-5678')",
	"INSERT INTO line_notify.outbox (phone, channel, use_case, template_key, on_duplicate) VALUES ('090-1234-5670', 'shop', 'parcel_delivery', 'x', '090-1234-5678')",
	"INSERT INTO line_notify.messages (phone, channel, use_case, template_key) VALUES ('090-1234-5670', 'shop', '\x{ff10}90-1234-5678', 'x')")
{
	my ($rc, $out, $err) = $node->psql('postgres', $sql);
	isnt($rc, 0, 'refused');
	unlike($err =~ s/^LINE \d+:.*//mgr, qr/1234-?5678/, 'without the number: ' . substr($err, 0, 60));
}
refused("SELECT line_notify.alter_channel('shop-2')", qr/channel "shop-2" does not exist/, 'a name is shown');

# ---- who was given everything ------------------------------------------------
is(sql("SELECT count(*) FROM line_notify.health() WHERE subject = 'privileges'"), 0, 'health() finds no role with all our functions');
sql('CREATE DATABASE given');
$node->safe_psql('given', 'ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO mallory; CREATE EXTENSION line_notify');
like($node->safe_psql('given', "SELECT severity, reason, hint FROM line_notify.health() WHERE subject = 'privileges'"),
	qr/^warning\|role "mallory" may call every function of line_notify, the internal ones included\|.*FROM mallory;/, 'default privileges gave them: health() says so');
$node->safe_psql('given', 'REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA line_notify FROM mallory');
is($node->safe_psql('given', "SELECT count(*) FROM line_notify.health() WHERE subject = 'privileges'"), 0, 'and how to end it');
sql('DROP DATABASE given');

# ---- where requests go ----------------------------------------------------
sql('CREATE ROLE admin LOGIN; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA line_notify TO admin; GRANT USAGE ON SCHEMA line_notify TO admin');
refused("SET ROLE admin; SELECT line_notify.alter_channel('shop', $_)", qr/permission denied to set api_base, proxy or ca_file/, "only a superuser sets $_")
  for "proxy => 'http://127.0.0.1:1'", "ca_file => '/etc/passwd'", "api_base => 'http://127.0.0.1:1'";
refused("SET ROLE admin; SELECT line_notify.create_channel('theirs', api_base => 'http://127.0.0.1:1')", qr/permission denied to set api_base/, 'nor with a new channel');
for my $status (301, 302, 307, 308)
{
	$sim->script_only({ match => { path => 'send' }, answer => { status => $status, headers => { Location => $elsewhere->url('/bot/pnp/push') } }, times => 1 });
	sql("$insert 'redirected $status')");
	ok($node->poll_query_until('postgres', "SELECT paused AND pause_reason LIKE '%$status%' FROM line_notify.channels"), "$status: paused");
	sql("SELECT line_notify.resume('shop')");
	ok($node->poll_query_until('postgres', "SELECT state FROM line_notify.notifications WHERE reference = 'redirected $status'", 'accepted'), 'and sent, when LINE takes it');
}
is(scalar($elsewhere->requests), 0, 'no redirect was followed, no token went there');

# ---- what others write into our log ----------------------------------------
my $forged = '2026-01-01 00:00:00.000 UTC [1] FATAL:  forged entry';
my $offset = -s $node->logfile;
my $json = JSON::PP->new->canonical->encode({ message => "bad\n$forged\r\n\e[2J\x{7f}\x{85}\x{202e}" . 'x y ' x 500, details => [ { message => "more\n$forged", property => "p\n$forged" } ] });
$sim->script_only({ match => { path => 'send' }, answer => { status => 403, body => $json, headers => { 'x-line-request-id' => 'id"; DROP' } }, times => 1 });
sql("$insert 'forged')");
ok($node->poll_query_until('postgres', "SELECT paused AND pause_reason LIKE '%403%' FROM line_notify.channels"), 'an answer with a forged log entry in it');
for my $statement ("SELECT line_notify.receive_webhook(E'x\\n$forged', 'x', 'y')", "SELECT line_notify.check_channel(E'x\\n$forged')",
	"SELECT line_notify.enqueue('090-1234-5678', 'parcel_delivery', template_key => E'x\\n$forged')",
	"$insert E'x\\n$forged'), (NULL)", "SELECT line_notify.to_use_case(E'x\\n$forged')", "SELECT line_notify.resume(E'x\\n$forged')",
	"SELECT line_notify.receive_verified_events('shop', '{\"events\":[{\"type\":\"delivery\",\"webhookEventId\":\"x\\n$forged\",\"delivery\":{\"data\":\"$forged\"}}]}')")
{
	$node->psql('postgres', $statement);
}
# the worker writes it after its commit
$node->wait_for_log(qr/paused .* messages of channel "shop"/, $offset);
my $log = substr(slurp_file($node->logfile), $offset);
like($log, qr/paused .* messages of channel "shop": LINE answered 403: bad/, 'it is quoted');
is(join("\n", grep { index($_, $forged) == 0 } split /\n/, $log), '', 'and makes no entry of its own');
unlike($log, qr/[\x00-\x08\x0b-\x1f\x7f]/, 'no control character gets through');
my ($quoted) = $log =~ /(paused .* messages of channel "shop".*)/;
cmp_ok(length($quoted), '<', 700, 'and it is cut off');
unlike($log, qr/1234-?5678/, 'no telephone number in all this');

$node->stop;
$_->stop for $sim, $elsewhere;
done_testing();
