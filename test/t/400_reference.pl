# doc/reference.md is what doc/reference.sql reads out of the catalog: a new
# function, column or setting without its line in the reference fails here.
# TAP, because settings are only there with the preload.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Node;

my $src = $ENV{LN_SRC} // '../..';
my $node = LineNotify::Node->new('main', 'line_notify.enabled' => 'off', 'line_notify.node' => '');
$node->safe_psql('postgres', 'CREATE EXTENSION line_notify');
my $now = $node->safe_psql('postgres', slurp_file("$src/doc/reference.sql"));
my $then = slurp_file("$src/doc/reference.md");
s/\s+\z// for $now, $then;
my @now = split /\n/, $now;
my @then = split /\n/, $then;
my %now = map { $_ => 1 } @now;
my %then = map { $_ => 1 } @then;
is_deeply([ grep { !$then{$_} } @now ], [], 'nothing is missing in doc/reference.md (bash doc/reference.sh writes it)');
is_deeply([ grep { !$now{$_} } @then ], [], 'nothing in doc/reference.md is gone');
is($node->safe_psql('postgres', q{
SELECT count(*) FROM pg_proc p WHERE pronamespace = 'line_notify'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL}),
	0, 'every function has a comment');
$node->stop;
done_testing();
