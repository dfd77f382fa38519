#!/usr/bin/perl
# Writes a version that never was: line_notify--0.9.sql, which lacks a few things
# of 1.0, and line_notify--0.9--1.0.sql, which adds them as an update would.
# Both come from the script of 1.0, so they keep up with it until it is released;
# a pattern that finds nothing is an error.  For tests only, never installed.
#
#   perl test/upgrade/older.pl SCRIPT_OF_1.0 DIRECTORY
use strict;
use warnings;

my ($from, $to) = @ARGV;
open my $in, '<', $from or die "$from: $!";
my $script = do { local $/; <$in> };
my $update = '';

# cut(PATTERN): what it matches is not in 0.9
sub cut
{
	my ($pattern) = @_;
	$script =~ s/($pattern)// or die "nothing in $from is like $pattern";
	return $1;
}

# a function, with its rights and its comment
$update .= cut(qr/^CREATE FUNCTION line_notify\.wait_for\(.*?^COMMENT ON FUNCTION line_notify\.wait_for\([^\n]*;\n/ms);

# a view
$update .= cut(qr/^CREATE VIEW line_notify\.consumers.*?^COMMENT ON VIEW line_notify\.consumers [^\n]*;\n(?:COMMENT ON COLUMN line_notify\.consumers\.[^\n]*;\n)*/ms);

# an index
$update .= cut(qr/^CREATE INDEX outbox_batch [^\n]*;\n/ms);

# a column, with its comment
cut(qr/,(?=\n\tsettled\t)/ms);
cut(qr/\n\tsettled\t\t\ttimestamptz(?=\n)/ms);
$update .= "ALTER TABLE line_notify.sweep_mark ADD COLUMN settled timestamptz;\n";
$update .= cut(qr/^COMMENT ON COLUMN line_notify\.sweep_mark\.settled [^\n]*;\n/ms);

# a function that does something else
$script =~ s/^(CREATE FUNCTION line_notify\.rotate_link_key\(\).*?^\$\$;\n)/older($1)/mse
  or die "no rotate_link_key() in $from";

sub older
{
	my ($new) = @_;
	(my $replace = $new) =~ s/^CREATE /CREATE OR REPLACE /;
	$update .= $replace;
	$new =~ s/^BEGIN\n.*^END\n/BEGIN\n\tNULL;\nEND\n/ms or die 'no body';
	return $new;
}

# a table whose contents were not dumped
$update .= cut(qr/^SELECT pg_catalog\.pg_extension_config_dump\('line_notify\.minute_count', ''\);\n/ms);

sub spew
{
	my ($name, $text) = @_;
	open my $out, '>', "$to/$name" or die "$to/$name: $!";
	print $out $text;
	close $out or die "$to/$name: $!";
	return;
}
spew('line_notify--0.9.sql', $script);
spew('line_notify--0.9--1.0.sql',
	"\\echo Use \"ALTER EXTENSION line_notify UPDATE\" to load this file. \\quit\n\n$update");
