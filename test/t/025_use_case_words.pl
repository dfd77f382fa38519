# The words of the trade: what a clerk types is understood, or the error
# proposes what is meant (test/content/clerk.tsv; clerk2.tsv to clerk4.tsv were
# written without a look at the words that the code knows); it is never silently
# taken for something else.
# TAP: reads files.

use strict;
use warnings;
use utf8;

use Encode;
use File::Basename;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

$ENV{PGCLIENTENCODING} = 'UTF8';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION line_notify;
	CREATE TABLE clerk (n int GENERATED ALWAYS AS IDENTITY, meant line_notify.use_case, input text);
	CREATE FUNCTION ask(input text, OUT answer text, OUT hint text) LANGUAGE plpgsql AS $$
	BEGIN
		answer := line_notify.to_use_case(input);
	EXCEPTION WHEN invalid_parameter_value THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	END $$;
));
for my $list ('clerk', 'clerk2', 'clerk3', 'clerk4', 'clerk5', 'clerk6')
{
	my $load = 'TRUNCATE clerk;';
	for my $line (split /\n/, decode_utf8(slurp_file(dirname(dirname(__FILE__)) . "/content/$list.tsv")))
	{
		next if $line =~ /^#/;
		my ($meant, $input) = split /\t/, $line;
		$load .= "INSERT INTO clerk (meant, input) VALUES ('$meant', \$c\$$input\$c\$);\n";
	}
	$node->safe_psql('postgres', encode_utf8("SET client_min_messages = warning;\n$load"));
	$node->safe_psql('postgres', 'SET client_min_messages = warning; DROP TABLE IF EXISTS result; CREATE TABLE result AS SELECT c.*, a.answer, a.hint FROM clerk c, ask(c.input) a');
	my $total = $node->safe_psql('postgres', 'SELECT count(*) FROM result');
	cmp_ok($total, '>=', 120, "$list: the list is long enough");
	note($_) for split /\n/, $node->safe_psql('postgres', 'SELECT * FROM result ORDER BY n');

	is($node->safe_psql('postgres', 'SELECT count(*) FROM result WHERE answer <> meant::text'), 0,
		"$list: nothing is silently taken for something else") ||
		diag($node->safe_psql('postgres', 'SELECT input, meant, answer FROM result WHERE answer <> meant::text'));
	my $wrong = "answer IS NULL AND hint NOT LIKE '%\"' || meant::text || '\"%'";
	my $n = $node->safe_psql('postgres', "SELECT count(*) FROM result WHERE $wrong");
	cmp_ok($n, '<=', 5, "$list: of these inputs at most 5 have no proposal or a wrong one");
	diag("$list: $n of $total inputs without a right proposal, "
		. $node->safe_psql('postgres', 'SELECT count(*) FROM result WHERE answer IS NOT NULL') . ' understood at once');
	diag($_) for split /\n/, $node->safe_psql('postgres', "SELECT input, meant, hint FROM result WHERE $wrong ORDER BY n");
}

$node->stop;
done_testing();
