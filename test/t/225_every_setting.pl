# Whatever an owner of the database, or a superuser, sets for it, messages leave all
# the same: each setting of the server that a session may have, from pg_settings, so
# that one of a new release cannot be forgotten, at values that are not its own.
# They are set all at once, in rounds: no worker is free of any.
# TAP: a worker that begins with them.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);

# this session began without them
my $session = $node->background_psql('postgres');
sub other { return $node->safe_psql('template1', shift) }

# texts that a check lets pass, and that might make a difference
my %text = (
	client_encoding => [ 'SJIS', 'LATIN1' ],
	# a superuser's, and where 18 looks for libraries
	dynamic_library_path => [ '$libdir:/tmp', '/tmp:$libdir' ],
	DateStyle => [ 'German', 'SQL, DMY' ],
	TimeZone => [ 'Pacific/Kiritimati', 'America/Adak' ],
	search_path => [ 'pg_temp', '' ],
	default_tablespace => [ 'no_such', 'pg_global' ],
	default_table_access_method => ['no_such'],
	lc_messages => ['C'],
	restrict_nonsystem_relation_kind => [ 'view', 'view, foreign-table' ],
	'plpgsql.extra_errors' => ['all'],
	timezone_abbreviations => ['India']);
other('CREATE ROLE somebody');

# pg_settings does not list who a session is
my %values = (role => ['somebody'], session_authorization => ['somebody']);
for my $setting (split /\n/, other(q{SELECT concat_ws('|', name, vartype, setting, min_val, max_val, array_to_string(enumvals, ','))
	FROM pg_settings WHERE context IN ('user', 'superuser') AND name !~ '^line_notify\.' ORDER BY name}))
{
	my ($name, $type, $is, @more) = split /\|/, $setting, -1;
	my @values =
	    $type eq 'bool' ? ($is eq 'on' ? 'off' : 'on')
	  : $type eq 'enum' ? (split /,/, $more[-1])
	  : $type eq 'string' ? @{ $text{$name} // [ 'x', '' ] }
	  : (1, $more[1], $more[0]);
	@values = grep { $_ ne $is } @values;
	# of many words, the first two and the last two
	@values = @values[ 0, 1, -2, -1 ] if @values > 4;
	$values{$name} = \@values;
}
cmp_ok(scalar(keys %values), '>', 150, scalar(keys %values) . ' settings');

for my $round (0 .. 3)
{
	my $set = other(join "\n", q{CREATE TEMP TABLE done (name text, value text);},
		(map { my $v = $values{$_}; my $value = $v->[ $round % @$v ] =~ s/'/''/gr;
			"DO \$do\$ BEGIN EXECUTE format('ALTER DATABASE postgres SET %s = %L', '" . join('.', map { qq("$_") } split /\./) . "', '$value'); INSERT INTO done VALUES ('$_', '$value'); EXCEPTION WHEN OTHERS THEN END \$do\$;" }
			grep { @{ $values{$_} } } sort keys %values),
		'SELECT count(*) FROM done');
	cmp_ok($set, '>', 100, "round $round: $set settings");
	my $pid = $session->query_safe("SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'postgres'");
	$session->query_safe("SELECT pg_terminate_backend($pid)") if $pid;
	$sim->wait_until(sub { $session->query_safe("SELECT count(*) FROM pg_stat_activity WHERE pid = " . ($pid || 0)) eq '0' }) or die 'the worker stays';
	$session->query_safe($node->insert_sql(3, first => 100 * $round + 1, set => { batch => "'round $round'" }));
	ok($sim->wait_until(sub { $session->query_safe("SELECT count(*) FROM line_notify.notifications WHERE batch = 'round $round' AND state = 'accepted'") eq '3' }, 180),
		'messages leave') or diag($session->query_safe('SELECT * FROM line_notify.health()'));
	other('ALTER DATABASE postgres RESET ALL');
}
$session->quit;

$node->stop;
$sim->stop;
done_testing();
