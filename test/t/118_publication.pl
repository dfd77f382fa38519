# Logical replication and partial dumps.  A publication of all tables breaks no
# task of ours and carries no secret; the documented list for change data
# capture carries neither numbers nor contents.  pg_dump of the schema, and data
# into a fresh extension, by the ways of doc/availability.md; the ways that would
# lose rows fail.  TAP: two servers, and pg_dump.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', init => [ allows_streaming => 'logical' ]);
$node->safe_psql('postgres', 'CREATE TABLE public.orders (id int PRIMARY KEY, note text)');

# ---- all tables, before the extension is there
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
$node->safe_psql('postgres', 'CREATE EXTENSION line_notify');
is($node->safe_psql('postgres', 'SELECT count(*) FROM line_notify.link_key'), 0, 'no key for links is made');
my ($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.signed_link('https://example.com/', 'x')");
like($err, qr/there is no key for signed links/, 'and signed_link() says so');
($rc, $out, $err) = $node->psql('postgres', 'SELECT line_notify.rotate_link_key()');
like($err, qr/the new key would be sent to subscribers.*everything.*FOR TABLES IN SCHEMA/s, 'rotate_link_key() makes none');
$node->safe_psql('postgres', "SELECT line_notify.create_channel('shop', api_base => '@{[ $sim->url ]}', line_channel_id => '@{[ LineNotify::Sim::CHANNEL() ]}')");
for my $kind ('access_token', 'client_secret', 'channel_secret')
{
	($rc, $out, $err) = $node->psql('postgres', "SELECT line_notify.set_credential('shop', '$kind', 'inline')");
	like($err, qr/the credential would be sent to subscribers.*everything.*file:/s, "$kind: inline is refused");
}
my $file = $node->basedir . '/token';
append_to_file($file, $sim->token . "\n");
chmod 0600, $file;
$node->safe_psql('postgres', "SELECT line_notify.set_credential('shop', 'access_token', 'file:$file')");
is($node->health('postgres', "subject = 'publication'"), '', 'health() is content');

# ---- work goes on: every statement of ours finds a replica identity
$node->insert('postgres', 30);
$node->wait_states('postgres', accepted => 30);
is($node->safe_psql('postgres', q{
SELECT c.oid::regclass FROM pg_class c
WHERE c.relnamespace = 'line_notify'::regnamespace AND c.relkind = 'r'
  AND NOT (c.relreplident = 'f' OR c.relreplident = 'd' AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))}),
	'', 'every table has a replica identity');
$node->safe_psql('postgres', "INSERT INTO line_notify.daily_count SELECT 'shop', current_date - 3, 'template', 'u', 'accepted', 1 FROM generate_series(1, 50)");
$node->safe_psql('postgres', "INSERT INTO line_notify.minute_count SELECT 'shop', now() - interval '3 days', 0, 0 FROM generate_series(1, 50)");
$node->safe_psql('postgres', "SELECT line_notify._sum_up('1 day')");
$node->insert('postgres', 1, first => 100);
$node->wait_states('postgres', accepted => 31);
unlike(slurp_file($node->logfile), qr/does not have a replica identity/, 'and nothing complains');
my @published = split /\n/, $node->safe_psql('postgres', "SELECT schemaname || '.' || tablename FROM pg_publication_tables");
is(scalar(grep { /^line_notify\.(credential|link_key|outbox|channel)$/ } @published), 4, 'all tables are published');
unlike(join('', map { $node->safe_psql('postgres', "SELECT * FROM $_") } @published),
	qr/@{[ $sim->token ]}/, 'the token is in nothing of it');

# ---- created later
$node->safe_psql('postgres', 'DROP PUBLICATION everything');
$node->safe_psql('postgres', "SELECT line_notify.rotate_link_key(); SELECT line_notify.set_credential('shop', 'channel_secret', 'inline')");
$node->safe_psql('postgres', 'CREATE PUBLICATION late FOR TABLES IN SCHEMA line_notify');
is(join("\n", map { join ' ', (split /\|/)[0, 2] } sort split /\n/, $node->health('postgres', "subject = 'publication'")),
	"error subscribers receive credentials, by publication late\nerror subscribers receive the keys of signed links, by publication late", 'health() names what leaks, and by what');
$node->safe_psql('postgres', 'DROP PUBLICATION late');
$node->safe_psql('postgres', 'CREATE PUBLICATION shape FOR TABLE line_notify.credential (channel, kind)');
is($node->health('postgres', "subject = 'publication'"), '', 'columns without a secret are nobody\'s business');
$node->safe_psql('postgres', 'DROP PUBLICATION shape');

# ---- change data capture, as doc/availability.md says, to a plain table
my $recipe = slurp_file("$ENV{LN_SRC}/doc/availability.md");
my ($publish) = $recipe =~ /^(CREATE PUBLICATION line_notify_changes.*?;)$/ms or die 'no publication in doc/availability.md';
my ($subscriber_table) = $recipe =~ /^(CREATE SCHEMA line_notify;\nCREATE TABLE line_notify\.history.*?;)$/ms or die 'no table in doc/availability.md';
$node->safe_psql('postgres', $publish);
my $sub = PostgreSQL::Test::Cluster->new('sub');
$sub->init(allows_streaming => 'logical');
$sub->start;
$sub->safe_psql('postgres', $subscriber_table);
(my $connstr = $node->connstr('postgres')) =~ s{'}{''}g;
$sub->safe_psql('postgres', "CREATE SUBSCRIPTION changes CONNECTION '$connstr' PUBLICATION line_notify_changes");
ok($sub->poll_query_until('postgres', "SELECT count(*) = 31 FROM line_notify.history WHERE state = 'accepted'"), 'change data capture: what is there');
$node->insert('postgres', 2, first => 200);
# a new partition on the way
$node->safe_psql('postgres', 'SELECT line_notify._ensure_history(50000000)');
$node->by_hand('postgres', $node->safe_psql('postgres', "SELECT id FROM line_notify.history WHERE reference = 'ref 1'"));
$node->safe_psql('postgres', "UPDATE line_notify.history SET state = 'delivered', delivered_at = now() WHERE reference = 'ref 1'");
ok($sub->poll_query_until('postgres', "SELECT count(*) FILTER (WHERE state = 'accepted') = 32 AND count(*) FILTER (WHERE state = 'delivered') = 1 FROM line_notify.history"),
	'and what changes');
my $columns = $sub->safe_psql('postgres', "SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'line_notify.history'::regclass AND attnum > 0");
unlike($columns, qr/recipient|body|messages/, 'without numbers and contents');
unlike(slurp_file($sub->logfile), qr/ERROR/, 'the subscriber has no error');
$sub->safe_psql('postgres', 'DROP SUBSCRIPTION changes');
$sub->stop;
$node->safe_psql('postgres', 'DROP PUBLICATION line_notify_changes');

# ---- parts of a dump
$node->safe_psql('postgres', "SELECT line_notify.pause('shop')");
$node->insert('postgres', 3, first => 300);
my $states = $node->safe_psql('postgres', 'SELECT state, count(*) FROM line_notify.notifications GROUP BY 1 ORDER BY 1');
my $dir = $node->basedir;
my @to = ('-h', $node->host, '-p', $node->port);

sub dumped { my $f = "$dir/$_[0].dump"; $node->command_ok([ 'pg_dump', '-Fc', '-f', $f, @_[ 1 .. $#_ ], $node->connstr('postgres') ], "pg_dump @_[1 .. $#_]"); return $f }
sub restores { my ($db, @arg) = @_; return system_log('pg_restore', @to, '--exit-on-error', '-d', $db, @arg) == 0 }
sub states_of { return $node->safe_psql($_[0], 'SELECT state, count(*) FROM line_notify.notifications GROUP BY 1 ORDER BY 1') }

my $schema = dumped('schema', '-n', 'line_notify');
$node->safe_psql('postgres', 'CREATE DATABASE by_schema');
ok(!restores('by_schema', $schema), 'pg_dump -n line_notify alone: the restore fails, and does not lose rows in silence');
my $with = dumped('with', '-n', 'line_notify', '-e', 'line_notify');
$node->safe_psql('postgres', 'CREATE DATABASE with_extension');
ok(restores('with_extension', $with), 'with -e line_notify it is whole');
is(states_of('with_extension'), $states, 'every row is there');

my $all = dumped('all');
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION line_notify; CREATE TABLE public.orders (id int PRIMARY KEY, note text)');
ok(!restores('fresh', '-a', $all), 'data alone into a fresh extension: fails');
$node->safe_psql('postgres', 'CREATE DATABASE fresh2');
$node->safe_psql('fresh2', 'CREATE EXTENSION line_notify');
ok(restores('fresh2', '-s', $all), 'the definitions of the dump first');
ok(restores('fresh2', '-a', $all), 'then data alone');
is(states_of('fresh2'), $states, 'every row is there');
like($node->health('fresh2'), qr/disarmed/, 'and it is disarmed');

unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();
