# What a search told somebody stays on record when it is rolled back: who asked is
# in the server's log, without the number.
# TAP: the server's log; several logins.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.enabled' => 'off');
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{CREATE ROLE sue LOGIN; SELECT line_notify.grant_support('sue'); CREATE ROLE pia LOGIN; SELECT line_notify.grant_privacy('pia')});
$node->append_conf('postgresql.conf', "log_error_verbosity = verbose\n");
$node->reload;
sub record
{
	my ($role, $call, $with) = @_;
	my $offset = -s $node->logfile;
	my ($verb) = $call =~ /(\w+)\(/;
	my ($rc, $out, $err) = $node->psql('postgres', "BEGIN; SELECT * FROM line_notify.$call; ROLLBACK", extra_params => [ '-U', $role ]);
	is($rc, 0, $call) or diag($err);
	ok($node->wait_for_log(qr/LOG: .*role "$role", session user "$role", calls line_notify\.$verb\(\) with $with/, $offset), 'rolled back, and on record');
	my $log = substr(slurp_file($node->logfile), $offset);
	unlike($log, qr/1234-?5678|a{20}|order-7|STATEMENT|CONTEXT/, 'without the number, hash, reference or statement') or diag($log);
	return;
}
my $hash = 'a' x 64;
sql('DELETE FROM line_notify.operations');
record(sue => "find_notifications('090-1234-5678')", 'a telephone number');
record(sue => "find_notifications(recipient => '$hash')", 'a recipient hash');
record(sue => "find_notifications(reference => 'order-7')", 'a reference');
record(pia => "$_('090-1234-5678')", 'a telephone number') for qw(suppress_recipient unsuppress_recipient forget_recipient);
record(pia => "$_('$hash')", 'a recipient hash') for qw(suppress_recipient unsuppress_recipient forget_recipient);
is(sql('SELECT count(*) FROM line_notify.operations'), 0, 'where the table has nothing');

# nor does pg_stat_activity keep the number, for whoever monitors, until the session's next statement
for my $case (['sue', "SELECT count(*) FROM line_notify.find_notifications('090-1234-5678')"],
	map { ['pia', "SELECT line_notify.$_('090-1234-5678')"] } qw(suppress_recipient unsuppress_recipient forget_recipient))
{
	my ($role, $statement) = @$case;
	my $session = $node->background_psql('postgres', extra_params => [ '-U', $role ]);
	$session->query_safe($statement);
	like(sql("SELECT query FROM pg_stat_activity WHERE usename = '$role'"), qr/^line_notify\.\w+\(\.\.\.\)$/, "pg_stat_activity after: $statement");
	$session->quit;
}
sql('DELETE FROM line_notify.operations');
# the caller cannot switch it off
my $offset = -s $node->logfile;
my ($rc, $out, $err) = $node->psql('postgres', "SET client_min_messages = error; SET log_min_messages = panic", extra_params => [ '-U', 'sue' ]);
like($err, qr/permission denied to set parameter "log_min_messages"/, 'the level of the log is not theirs to set');
# by way of a superuser's definer function, the role that asks is named
sql(q{GRANT CREATE ON SCHEMA public TO sue; SET ROLE sue;
	CREATE FUNCTION public.look() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM line_notify.find_notifications($$090-1234-5678$$)'});
$offset = -s $node->logfile;
sql('SELECT public.look()');
my $super = sql('SELECT current_user');
ok($node->wait_for_log(qr/role "sue", session user "$super", calls line_notify\.find_notifications/, $offset), 'current and session user are named');
is(sql('SELECT role, login, function FROM line_notify.operations'), "sue|$super|find_notifications", 'and recorded');

$node->stop;

# where the library is not preloaded, nobody else keeps statements out of the log
$node = LineNotify::Node->new('bare', shared_preload_libraries => '', log_error_verbosity => 'verbose');
$node->install('postgres', $sim);
sql(q{CREATE ROLE sue LOGIN; SELECT line_notify.grant_support('sue')});
record(sue => "find_notifications('090-1234-5678')", 'a telephone number');

$node->stop;
$sim->stop;
done_testing();
