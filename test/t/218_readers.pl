# Who may read everything still reads no secret: inline credentials, keys of
# links, numbers and hashes are planted, and looked for in every relation,
# TOAST and catalogs included, that members of pg_read_all_data, pg_monitor and
# pg_read_all_stats and a replication role can read, and in what such a role
# decodes from WAL.  The relations come from the catalog, so that a new one
# cannot be forgotten.
# TAP: several roles, and a server that writes logical WAL.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $lib = `pg_config --pkglibdir` =~ s/\n//r;
my $statements = -e "$lib/pg_stat_statements.so";
my $node = LineNotify::Node->new('main', init => [ allows_streaming => 'logical' ],
	shared_preload_libraries => $statements ? 'line_notify, pg_stat_statements' : 'line_notify');
sub sql { return $node->safe_psql('postgres', $_[0]); }

my %reader = (data => 'IN ROLE pg_read_all_data', monitor => 'IN ROLE pg_monitor', stats => 'IN ROLE pg_read_all_stats',
	replica => 'REPLICATION', tables => 'IN ROLE pg_read_all_data REPLICATION');
sql("CREATE ROLE $_ LOGIN $reader{$_}") for sort keys %reader;
sql('CREATE EXTENSION pg_stat_statements') if $statements;
my @plugins = ('pgoutput', (-e "$lib/test_decoding.so" ? 'test_decoding' : ()));
$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('$_', '$_')", extra_params => [ '-U', 'replica' ]) for @plugins;

# ---- plant ---------------------------------------------------------------
# what does not compress goes to TOAST, if anything does
my $random = sub { return join '', map { ('a' .. 'z', 'A' .. 'Z', 0 .. 9)[ rand 62 ] } 1 .. $_[0] };
my %secret = ('short token' => $random->(40), 'long token' => $random->(3900), 'first channel secret' => $random->(32), 'channel secret' => $random->(32),
	'client secret' => $random->(32), 'key' => "-----BEGIN PRIVATE KEY-----\n" . join("\n", map { $random->(64) } 1 .. 100) . "\n-----END PRIVATE KEY-----");
sql('CREATE EXTENSION line_notify');
sql("SELECT line_notify.create_channel('c$_', line_channel_id => '$_') FROM (VALUES (1)) v") for 1 .. 4;
sql("SELECT line_notify.set_credential('c1', 'access_token', '$secret{'short token'}')");
sql("SELECT line_notify.set_credential('c2', 'access_token', '$secret{'long token'}')");
sql("SELECT line_notify.set_credential('c3', 'jwt_key', '$secret{key}', key_id => 'kid')");
sql("SELECT line_notify.set_credential('c4', 'client_secret', '$secret{'client secret'}')");
sql("SELECT line_notify.set_credential('c1', 'channel_secret', '$secret{$_}')") for 'first channel secret', 'channel secret';
sub link_keys { return map { /^(\d+)\|(\w+)$/ ? ("link key $1" => $2) : () } split /\n/, sql("SELECT key_no, encode(secret, 'hex') FROM line_notify.link_key") }
%secret = (%secret, link_keys());
sql('SELECT line_notify.rotate_link_key()') for 1 .. 2;
%secret = (%secret, link_keys());
is(scalar(grep { /link key/ } keys %secret), 3, 'keys of links');
my ($phone, $gone) = ('090-7777-0123', '090-6666-0456');
my ($hash, $gone_hash) = map { sql("SELECT line_notify.phone_hash('$_')") } $phone, $gone;
$node->install('postgres', $sim, name => 'shop');
sql("SELECT line_notify.alter_channel('c1', only_recipients => ARRAY['$phone', '$gone'])");
sub message
{
	my ($number, $reference) = @_;
	sql("INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, body, reference, dedup_key, order_key, send_after)
		SELECT 'shop', '$number', 'parcel_delivery', 'shipment_completed_ja', '{}', '$reference ' || i, '$reference dedup ' || i, '$reference order ' || i, now() + interval '1 hour' * (i % 2)
		FROM generate_series(1, 20) i");
}
# LINE says something about the message, which names its reference
$sim->script({ match => { path => 'send' }, answer => { status => 400, body => '{"message":"refused erased-reference"}' }, times => 5 });
message($gone, 'erased-reference');
message($phone, 'kept-reference');
ok($node->poll_query_until('postgres', "SELECT count(*) = 20 FROM line_notify.notifications WHERE state IN ('accepted', 'refused')"), 'messages were sent');
$sim->script({ match => { path => 'send' }, answer => { status => 403, body => '{"message":"not for erased-reference"}' }, times => 1 });
sql("INSERT INTO line_notify.outbox (channel, phone, use_case, template_key) VALUES ('shop', '$gone', 'parcel_delivery', 'shipment_completed_ja')");
ok($node->poll_query_until('postgres', "SELECT pause_reason ~ 'not for erased-reference' FROM line_notify.channels WHERE name = 'shop'"), 'one of them paused the endpoint');
sql("SELECT line_notify.suppress_recipient('090-5555-0789')");
sql("SELECT line_notify.cancel(reference => 'erased-reference 1')");
my $idle = $node->background_psql('postgres');
$secret{'statement of an idle session'} = $random->(40);
$idle->query_safe("SELECT line_notify.set_credential('c1', 'access_token', '$secret{'statement of an idle session'}')");

# ---- all that ANALYZE keeps, then the erasure ------------------------------
sql('ANALYZE');
is(sql("SELECT line_notify.forget_recipient('$gone')"), 21, 'a person is erased');
like(sql("SELECT pause_reason FROM line_notify.channels WHERE name = 'shop'"), qr/^template messages: LINE answered 403 \(message \d+\)$/, 'the pause says no more of the message');
sql('CREATE PUBLICATION everything FOR ALL TABLES');
sql('ANALYZE');

# ---- look ----------------------------------------------------------------
# every piece of 20 characters, of which a value is one or more
# as a text and as bytes
my %piece;
for my $name (keys %secret)
{
	my @at = grep { !/\n|---/ } map { substr($secret{$name}, int($_ / 10 * (length($secret{$name}) - 20)), 20) } 0 .. 10;
	$piece{"$name, piece $_"} = $at[$_] for 0 .. $#at;
	$piece{"$name, bytes $_"} = unpack('H*', $at[$_]) for 0 .. $#at;
}
my %number = map { my ($a, $b, $c) = split /-/; map { ($_ => $_) } "$b$c", "$b-$c", "$b $c" } $phone, $gone, '090-5555-0789';
my @erased = ($gone_hash, 'erased-reference');

sub relations
{
	my ($role) = @_;
	# columns that the role may read, of every relation
	return sql(q{
SELECT format('%I.%I', n.nspname, c.relname), string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v', 'm', 'p', 't', 'f', 'S') AND n.nspname !~ '^pg_(toast_)?temp'
  AND has_schema_privilege('} . $role . q{', n.oid, 'USAGE') AND has_column_privilege('} . $role . q{', c.oid, a.attnum, 'SELECT')
GROUP BY 1 ORDER BY 1});
}

for my $role (sort keys %reader)
{
	my %columns = map { split /\|/, $_, 2 } split /\n/, relations($role);
	my $script = join '', map { "\\echo RELATION $_\nCOPY (SELECT $columns{$_} FROM $_) TO STDOUT;\n" } sort keys %columns;
	my ($ret, $text, $err) = $node->psql('postgres', $script, extra_params => [ '-U', $role ], on_error_stop => 0);
	my %text = $text =~ /^RELATION (\S+)\n(.*?)(?=^RELATION |\z)/msg;
	cmp_ok(scalar(keys %text), '>', 150, "$role: " . keys(%text) . ' relations were looked through');
	ok(!!$text{'pg_toast.' . sql("SELECT reltoastrelid::regclass FROM pg_class WHERE oid = 'pg_proc'::regclass") =~ s/.*\.//r} == ($role =~ /data|tables/ ? 1 : 0), "$role: TOAST among them or not") ;
	my $found = sub { my %needle = @_; return join '; ', map { my $relation = $_; map { index($text{$relation}, $needle{$_}) >= 0 ? "$relation has $_" : () } sort keys %needle } sort keys %text };
	is($found->(%piece), '', "$role: no secret anywhere");
	is($found->(%number), '', "$role: no number anywhere");
	is($found->(map { ($_ => $_) } @erased), '', "$role: nothing of the person who was erased");
	for ([ $hash => 'channel history history_... outbox' ], [ 'kept-reference' => 'dedup history history_... messages notifications outbox' ])
	{
		my ($needle, $there) = @$_;
		my @with = grep { index($text{$_}, $needle) >= 0 } sort keys %text;
		s/history_\w+/history_.../, s/^line_notify\.// for @with;
		is("@with", $role =~ /data|tables/ ? $there : '', "$role: hashes and references of others where they belong only");
	}
}

# ---- what the replication role decodes -------------------------------------
# of each there is a change that it sees
sql("INSERT INTO line_notify.token_status (channel, error) VALUES ('c1', 'decoded-canary')");
for my $plugin (@plugins)
{
	my $changes = $plugin eq 'pgoutput'
	  ? "SELECT encode(data, 'escape') FROM pg_logical_slot_get_binary_changes('pgoutput', NULL, NULL, 'proto_version', '1', 'publication_names', 'everything')"
	  : "SELECT data FROM pg_logical_slot_get_changes('$plugin', NULL, NULL)";
	my ($ret, $text, $err) = $node->psql('postgres', $changes, extra_params => [ '-U', 'replica' ]);
	if ($plugin eq 'pgoutput')
	{
		# it looks publications up as of the time of the change
		# (18 goes on with a warning)
		like($err, qr/publication "everything" does not exist|skipped loading publication "everything"/, 'pgoutput: there was no publication then');
		next;
	}
	like($text, qr/decoded-canary/, "$plugin: changes are decoded");
	like($text, qr/line_notify\.credential: DELETE/, "$plugin: also of the tables with secrets");
	my @found = grep { index($text, $piece{$_}) >= 0 } sort keys %piece;
	is("@found", '', "$plugin: no secret");
	is(join(' ', grep { index($text, $_) >= 0 } sort keys %number), '', "$plugin: no number");
}

# ---- columns, from the catalog -----------------------------------------------
# Statistics of a text are a choice: either nothing personal or secret can be in
# it, and plans need it, or there are none.
my %harmless = map { ($_ => 1) } qw(channel batch template_key aggregation_unit consumer outcome function region kind flow key_id status name
	scope subject state type time_zone quiet_hours nodes handover handover_to disarmed_why api_base line_channel_id on_silence on_invalid on_unknown
	on_server_error on_duplicate unknown_content outcomes event_id delivery_event why
	approval.reference design.reference design.skeleton maintenance_mark.part outbox.phone price.currency
	template_catalogue.description template_catalogue.key template_catalogue.label template_catalogue.source);
is(join(' ', grep { !$harmless{$_} && !$harmless{ (split /\./)[1] } } split /\n/, sql(q{
SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'line_notify'::regnamespace AND c.relkind IN ('r', 'p')
  AND a.atttypid IN ('text'::regtype, 'text[]'::regtype, 'jsonb'::regtype, 'bytea'::regtype) AND coalesce(a.attstattarget, -1) <> 0 ORDER BY 1})), '',
	'every other text keeps no statistics');
is(sql(q{SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attlen < 0 AND a.attstorage <> 'p'
	WHERE c.relnamespace = 'line_notify'::regnamespace AND c.relkind IN ('r', 'p') AND c.relrowsecurity}), 0, 'nothing of the tables under row security goes to TOAST');

# ---- the limits of a value that stays in its row ---------------------------
for my $case ([ 7000, 1 ], [ 7001, 0 ])
{
	my ($length, $fits) = @$case;
	my ($ret, $o, $err) = $node->psql('postgres', "DROP PUBLICATION IF EXISTS everything; SELECT line_notify.set_credential('c4', 'client_secret', '" . $random->($length) . "')");
	if ($fits) { is($ret, 0, "$length bytes fit") or diag($err) } else { like($err, qr/1 to 7000 bytes/, "$length do not") }
}
for my $value ('file:/' . 'x' x 5000)
{
	my ($ret, $o, $err) = $node->psql('postgres', "SELECT line_notify.set_credential('c4', 'client_secret', '$value')");
	like($err, qr/path of a credential file/, 'nor does a path of 5000');
}
# what the row is put there by obeys the rules of the table, and is the owner's
my ($ret, $o, $err) = $node->psql('postgres', "SELECT line_notify._insert_secret(ROW('c4', 'nonsense', 'x', NULL, NULL, now(), 'x')::line_notify.credential)");
like($err, qr/violates check constraint "credential_kind_check"/, 'the constraints are asked');
sql('CREATE ROLE admin LOGIN; GRANT ALL ON ALL FUNCTIONS IN SCHEMA line_notify TO admin; GRANT ALL ON ALL TABLES IN SCHEMA line_notify TO admin');
($ret, $o, $err) = $node->psql('postgres', "SELECT line_notify._insert_secret(ROW(9, '\\x00', false, now())::line_notify.link_key)", extra_params => [ '-U', 'admin' ]);
like($err, qr/must be owner of table link_key/, 'and nobody else puts a key there');
is(sql("SELECT count(*) FROM line_notify.link_key"), 2, 'there are two');
like(sql("SELECT * FROM line_notify.verify_link(line_notify.signed_link('https://example.com/', 'order-1'))"), qr/^t\|ok\|order-1/, 'which sign');

$idle->quit;
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
