# What tools beside us show of a message: auto_explain and pgaudit log what the
# statement holds literally, and what comes as a parameter when they are told to;
# change data capture sees the hash and the content, never the number.  TAP:
# preloaded libraries, a slot.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;
use LineNotify::Node;
use LineNotify::Sim;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', wal_level => 'logical',
	'auto_explain.log_min_duration' => 0, 'auto_explain.log_nested_statements' => 'on',
	shared_preload_libraries => join(', ', 'line_notify', 'auto_explain', $ENV{PGAUDIT} || ()));
$node->install('postgres', $sim);
$node->safe_psql('postgres', "SELECT line_notify.pause('shop'); SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')");

sub inserts
{
	my ($relation, $mode, $number, $verbose, $options, $plan) = @_;
	local $ENV{PGOPTIONS} = "-c auto_explain.log_verbose=$verbose " . ($options // '');
	# 16 and later would log them by default
	$ENV{PGOPTIONS} .= ' -c auto_explain.log_parameter_max_length=0' if $node->safe_psql('postgres', 'SHOW server_version_num') >= 160000;
	my $from = -s $node->logfile;
	my $script = $node->basedir . "/$relation$mode$verbose.sql";
	append_to_file($script, "INSERT INTO line_notify.$relation (phone, use_case, template_key) VALUES (:phone, 'reservation', 't');\n");
	$node->command_ok([ 'pgbench', '-n', '-t', '1', '-M', $mode, '-D', "phone=$number", '-f', $script, $node->connstr('postgres') ], "$relation, $mode, verbose $verbose");
	my $log = slurp_file($node->logfile, $from);
	like($log, $plan // qr/plan:.*INSERT INTO line_notify\.$relation/s, 'it is logged');
	return $log =~ /$number/;
}
for my $relation ('outbox', 'messages')
{
	ok(inserts($relation, 'simple', '819012345678', 'off'), "$relation: a literal is in the log of auto_explain");
	ok(!inserts($relation, 'extended', '819087654321', 'off'), "$relation: a parameter is not");
	ok(inserts($relation, 'extended', '819087654321', 'on'), "$relation: but when it is verbose, since the plan is made for it");
}
SKIP:
{
	skip 'no pgaudit', 1 unless $ENV{PGAUDIT};
	my $audit = sub { my ($relation, $mode, $number, $parameters) = @_;
		inserts($relation, $mode, $number, 'off', "-c auto_explain.log_min_duration=-1 -c pgaudit.log=write -c pgaudit.log_parameter=$parameters",
			qr/AUDIT: .*INSERT INTO line_notify\.$relation/) };
	for my $relation ('outbox', 'messages')
	{
		ok($audit->($relation, 'simple', '819012345678', 'off'), "$relation: a literal is in the log of pgaudit");
		ok(!$audit->($relation, 'extended', '819087654321', 'off'), "$relation: a parameter is not");
		ok($audit->($relation, 'extended', '819087654321', 'on'), "$relation: but with pgaudit.log_parameter it is");
		ok(!inserts($relation, 'extended', '819087654321', 'off', "-c auto_explain.log_min_duration=-1 -c pgaudit.log=ddl,role -c pgaudit.log_parameter=on", qr/^(?!.*AUDIT)/s),
			"$relation: as privacy.md sets it for senders, nothing is");
	}
}

my $changes = $node->safe_psql('postgres', q{SELECT data FROM pg_logical_slot_get_changes('cdc', NULL, NULL)});
like($changes, qr/table line_notify\.outbox: INSERT/, 'change data capture sees messages');
my $hash = $node->safe_psql('postgres', q{SELECT line_notify.phone_hash('+819087654321')});
like($changes, qr/$hash/, 'with the hash');
unlike($changes, qr/9012345678|9087654321/, 'and never the number');

# the columns that the page names for such tools: who reads them learns of nobody
my ($publication) = slurp_file("$ENV{LN_SRC}/doc/privacy.md") =~ /^(CREATE PUBLICATION cdc .*?;)$/ms or die 'no publication in doc/privacy.md';
my $list = $node->safe_psql('postgres', $publication . q{
SELECT string_agg(a, ' ' ORDER BY a) FROM pg_publication_tables, unnest(attnames) a WHERE tablename IN ('outbox', 'history')});
like($list, qr/\bid\b.*\brequest_id\b.*\bstate\b/, 'the publication of doc/privacy.md');
unlike($list, qr/recipient|body|messages|reference|key\b(?<!template_key)|error|policy|traceparent/, 'is without hash, content and references');

# what the executor refuses before anything of ours is asked says what to do
$node->safe_psql('postgres', q{CREATE ROLE sender; CREATE ROLE stranger; SELECT line_notify.grant_sender('sender'); CREATE TABLE outbox (id int)});
my $values = q{(phone, use_case, template_key) VALUES ('09012345678', 'reservation', 't')};
for my $case ([ stranger => "INSERT INTO line_notify.outbox $values", 1 ], [ sender => "INSERT INTO line_notify.outbox $values RETURNING *", 1 ],
	[ stranger => "INSERT INTO line_notify.messages $values", 1 ], [ stranger => 'SELECT * FROM public.outbox', 0 ])
{
	my ($role, $sql, $hinted) = @$case;
	my $error;
	$node->psql('postgres', "SET ROLE $role; $sql", stderr => \$error);
	like($error, qr/permission denied for/, "$role: refused");
	is($error =~ /HINT:.*grant_sender.*line_notify\.messages/ ? 1 : 0, $hinted, 'with the hint where it is ours');
}

$node->stop;
$sim->stop;
done_testing();
