# Settings that are read when the server starts: out of range, it says so and
# starts with the default, as with every library's.  All of them, from
# pg_settings.  (The others: regress test refusals.)  TAP: servers that start.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Node;

my $node = LineNotify::Node->new('main', 'line_notify.enabled' => 'off');
my @settings = split /\n/, $node->safe_psql('postgres',
	q{SELECT name, min_val::bigint - 1, max_val::bigint + 1 FROM pg_settings WHERE name LIKE 'line\_notify.%' AND context = 'postmaster' ORDER BY 1});
$node->stop;
is(join(' ', map { (split /\|/)[0] } @settings), 'line_notify.max_databases', 'these are read at the start');
for my $setting (@settings)
{
	my ($name, @bad) = split /\|/, $setting;
	for my $value (@bad, 'many')
	{
		my $offset = -s $node->logfile;
		$node->append_conf('postgresql.conf', "$name = $value");
		$node->start;
		like(slurp_file($node->logfile, $offset), qr/(outside the valid range for|invalid value for) parameter "$name"/, "$name = $value: the log says why not");
		is($node->safe_psql('postgres', "SELECT setting = boot_val FROM pg_settings WHERE name = '$name'"), 't', 'the default counts');
		$node->stop;
	}
	$node->append_conf('postgresql.conf', "$name = 1");
	$node->start;
	is($node->safe_psql('postgres', "SHOW $name"), 1, 'in range, it counts');
	$node->stop;
}
done_testing();
