# What a role was given goes with the role: numbers of dropped roles are not
# dumped, where they might be another's, and not kept.
# TAP: pg_dump; maintenance.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
# no worker before it is its turn
my $node = LineNotify::Node->new('main', 'line_notify.enabled' => 'off');
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }

sub gone
{
	my ($role) = @_;
	sql(qq{CREATE ROLE $role; SELECT line_notify.grant_sender('$role', '{shop}');
		SELECT line_notify.set_consumer('of_$role', 'shop', role => '$role'); DROP OWNED BY $role; DROP ROLE $role});
	return sql('SELECT max(role::oid) FROM line_notify.sender');
}
sql("CREATE ROLE stays; SELECT line_notify.grant_sender('stays', '{shop}'); SELECT line_notify.set_consumer('its', 'shop', role => 'stays')");
my $number = gone('early');
is(sql("SELECT count(*) FROM line_notify.sender WHERE role::text = '$number'"), 1, 'DROP ROLE tells nobody');
my $file = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('postgres') ], 'pg_dump');
my ($senders) = slurp_file($file) =~ /^COPY line_notify\.sender [^\n]*\n(.*?)^\\\.$/ms;
is($senders, "stays\tshop\n", 'it dumps names of roles that exist, and no number');
my ($consumers) = slurp_file($file) =~ /^COPY line_notify\.consumer [^\n]*\n(.*?)^\\\.$/ms;
is(join(' ', $consumers =~ /^shop\t(\S+)/mg), 'default its', 'of consumers, too');
unlike($consumers, qr/\b$number\b/, 'without the number');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr('copy') ], 'and the dump is restored');
is($node->safe_psql('copy', "SELECT name, role FROM line_notify.consumers ORDER BY name"), "default|\nits|stays", 'with the consumers');

# whoever grants or revokes clears up; the number itself can be named
sql("SELECT line_notify.revoke_sender('$number')");
is(sql('SELECT string_agg(role::text, $$ $$) FROM line_notify.sender'), 'stays', 'revoke_sender() deletes what dropped roles had');
$number = gone('middle');
sql("SELECT line_notify.grant_sender('stays')");
is(sql("SELECT count(*) FROM line_notify.sender WHERE role::text = '$number'"), 0, 'so does grant_sender()');
is(sql("SELECT DISTINCT role = (SELECT relowner FROM pg_class WHERE oid = 'line_notify.outbox'::regclass) FROM line_notify.consumers WHERE name LIKE 'of_%'"), 't',
	'a consumer of a dropped role is for operators, not for everybody');
# and the worker
$number = gone('late');
$node->append_conf('postgresql.conf', "line_notify.enabled = on\n");
$node->restart;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.sender WHERE role::text = '$number'"), 'so does maintenance');

$node->stop;
$sim->stop;
done_testing();
