# doc/cookbook.md works as it stands: its blocks run, each example queues
# messages of its use case that check_message() has nothing against, and the
# customer reads what the page says.  All 22 use cases are there.
# doc/recipes.md, too: every line it shows comes out of its statements or is
# read by the customer; a role that may only send can use its functions; and its
# program goes through LINE Login of the simulator.
# TAP: reads a file of the documentation.

use strict;
use warnings;
use utf8;

use Encode;
use HTTP::Tiny;
use IPC::Run;
use File::Basename;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;

$ENV{PGCLIENTENCODING} = 'UTF8';

my $page = decode_utf8(slurp_file(dirname(__FILE__) . '/../../doc/cookbook.md'));

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

my %seen;
my ($preparation, @sections) = split /^## /m, $page;

sub run_sql
{
	my ($text, $name) = @_;
	my $sql = join "\n", $text =~ /^```sql\n(.*?)^```/msg;
	my ($rc, undef, $err) = $node->psql('postgres', encode_utf8($sql), on_error_stop => 1);
	return is($rc, 0, encode_utf8("$name: runs")) || diag($err);
}

run_sql($preparation, 'preparation');
for my $section (@sections)
{
	my ($title) = $section =~ /^([^\n]+)/;
	my ($use_case) = $title =~ /^\d+\. `(\w+)`/;

	$node->safe_psql('postgres', 'TRUNCATE line_notify.outbox');
	run_sql($section, $title) or next;
	next unless $section =~ /^```sql/m;

	is($node->safe_psql('postgres', q{
SELECT DISTINCT o.state FROM line_notify.outbox o}), 'queued', encode_utf8("$title: queued"));
	is($node->safe_psql('postgres', q{
SELECT c.severity, c.path, c.rule, c.message FROM line_notify.outbox o, line_notify.check_message(
	CASE WHEN o.template_key IS NULL THEN 'flexible' ELSE 'template' END,
	CASE WHEN o.template_key IS NULL THEN jsonb_build_object('messages', o.messages)
	ELSE jsonb_build_object('templateKey', o.template_key, 'body', o.body) END,
	o.use_case, o.channel) c}), '', encode_utf8("$title: nothing against it"));
	next unless $use_case;

	is($node->safe_psql('postgres', 'SELECT DISTINCT use_case FROM line_notify.outbox'), $use_case, encode_utf8("$title: the use case"));
	$seen{$use_case}++;
	my $text = decode_utf8($node->safe_psql('postgres', q{
SELECT s #>> '{}' FROM line_notify.outbox o, jsonb_path_query(coalesce(o.messages, o.body), 'lax $.** ? (@.type() == "string")') s
UNION ALL
SELECT c.label FROM line_notify.outbox o, line_notify.template_catalogue c
WHERE c.label IS NOT NULL AND (c.kind = 'template' AND c.key = o.template_key OR c.kind = 'button' AND o.body::text LIKE '%' || c.key || '%')}));
	my ($reads) = $section =~ /^```text\n(.*?)^```/ms;
	my @missing = grep { index($text, (split /　/, $_)[-1]) < 0 } split /\n/, $reads // 'nothing';
	is(encode_utf8("@missing"), '', encode_utf8("$title: what the customer reads")) or diag(encode_utf8($text));
}
is(join(' ', sort keys %seen),
	$node->safe_psql('postgres', q{SELECT string_agg(use_case::text, ' ' ORDER BY use_case::text COLLATE "C") FROM line_notify.use_cases}),
	'every use case has its example');

# ---- recipes, in a database of their own
$node->safe_psql('postgres', 'CREATE DATABASE recipes');
my ($first, @recipes) = split /^## /m, decode_utf8(slurp_file(dirname(__FILE__) . '/../../doc/recipes.md'));
for my $recipe ("preparation\n$first", @recipes)
{
	my ($title) = $recipe =~ /^([^\n]+)/;
	my $sql = join "\n", $recipe =~ /^```sql\n(.*?)^```/msg;
	$node->safe_psql('recipes', 'TRUNCATE line_notify.outbox') if $recipe =~ /outbox/ && $title ne 'preparation';
	my ($rc, $out, $err) = $node->psql('recipes', encode_utf8($sql), on_error_stop => 1);
	is($rc, 0, encode_utf8("$title: runs")) || diag($err);
	next unless $recipe =~ /^```text/m;

	is($node->safe_psql('recipes', q{
SELECT c.severity, c.path, c.rule, c.message FROM line_notify.outbox o, line_notify.check_message('flexible', jsonb_build_object('messages', o.messages), o.use_case, o.channel) c}),
		'', encode_utf8("$title: nothing against it"));
	my $seen = decode_utf8($out) . "\n" . decode_utf8($node->safe_psql('recipes',
		q{SELECT s #>> '{}' FROM line_notify.outbox o, jsonb_path_query(o.messages, 'lax $.** ? (@.type() == "string")') s}));
	my @missing = grep { index($seen, $_) < 0 } map { split /\n/ } $recipe =~ /^```text\n(.*?)^```/msg;
	is(encode_utf8(join '; ', @missing), '', encode_utf8("$title: what comes out and what the customer reads")) || diag(encode_utf8($seen));
}
is(scalar(@recipes), 4, 'all recipes');

# ... which the page says for those who may only send
$node->safe_psql('recipes', encode_utf8(q{
TRUNCATE line_notify.outbox;
CREATE ROLE clerk;
SELECT line_notify.grant_sender('clerk', '{shop}');
GRANT EXECUTE ON FUNCTION line_notify.verify_link(text) TO clerk;
GRANT SELECT, INSERT, UPDATE, DELETE ON customers, login_attempts, deliveries, debits, appointments TO clerk;
SET ROLE clerk;
INSERT INTO customers VALUES (4712, '080-1234-5678', '1991-05-02');
INSERT INTO deliveries (order_no, phone, arrives_on, slot, first_day, last_day) VALUES (8, '080-1234-5678', '2027-03-05', '午前中', '2027-03-05', '2027-03-15');
SELECT change_delivery(change_url, '2027-03-06') FROM deliveries WHERE order_no = 8;
INSERT INTO debits VALUES (3, '080-1234-5678', '水道料金', 3000, '2027-03-29');
SELECT announce_debits('2027-03-24');
UPDATE debits SET result = 'done' WHERE debit_no = 3;
INSERT INTO appointments VALUES (32, '080-1234-5678', '2097-03-20 14:00+09', 5500, '2097-03-10', '123-456-780');
SELECT confirm_appointment(a) FROM appointments a WHERE id = 32;
SELECT paid(32);
SELECT paid(32);
}));
is($node->safe_psql('recipes', q{
SELECT string_agg(use_case || ' ' || state, ', ' ORDER BY id) FROM line_notify.notifications WHERE reference ~ '^(7|8|3|appointment-32)$'}),
	'parcel_delivery queued, parcel_delivery queued, reminder_payment_deadline queued, payment_completed queued, '
	. 'reservation queued, reminder_payment_deadline cancelled, payment_completed queued', 'the functions of the recipes work for a sender');

# account linking through LINE Login, of the simulator, by the page's program
my $sim = LineNotify::Sim->start;
$sim->config(login_user => 'U0123456789abcdef0123456789abcdef');
my ($program) = slurp_file(dirname(__FILE__) . '/../../doc/recipes.md') =~ /^```python\n(.*?)^```/ms;
sub line_user_id
{
	my ($code, $nonce, $back) = @_;
	my $out;
	IPC::Run::run([ LineNotify::Sim::python(), '-', $code, $nonce, $back, '1234567890', '8c570fa6dd201bb328f1c1eac23a96d8', $sim->url ],
		'<', \"$program\nimport sys\nprint(line_user_id(*sys.argv[1:]))\n", '>', \$out, '2>', \my $err);
	chomp($out);
	return $out || ($err =~ /(HTTP Error 400)/)[0] || $err;
}
# a visit comes back with code and state, its nonce is in the database
sub visit
{
	my $away = $node->safe_psql('recipes', q{
SET ROLE clerk; SELECT begin_login(line_notify.signed_link('https://shop.example/line', '4712'), '1991-05-02')});
	$away =~ s{^https://access\.line\.me}{$sim->url}e or die $away;
	my $answer = HTTP::Tiny->new(max_redirect => 0)->get($away);
	my ($back, $code, $state) = $answer->{headers}{location} =~ /^(.*)\?code=([^&]+)&state=([^&]+)$/ or die $answer->{content};
	return ($code, $node->safe_psql('recipes', "SET ROLE clerk; SELECT nonce FROM login_attempts WHERE state = '$state' AND expires_at > now()"), $back, $state);
}
my ($code, $nonce, $back, $state) = visit();
my ($code2, $nonce2) = visit();
is(line_user_id($code2, $nonce, $back), 'HTTP Error 400', 'LINE Login: the nonce of another attempt');
my $user = line_user_id($code, $nonce, $back);
is($user, 'U0123456789abcdef0123456789abcdef', '... a visit leads to the user');
is(line_user_id($code, $nonce, $back), 'HTTP Error 400', '... once');
is($node->safe_psql('recipes', "SET ROLE clerk; SELECT finish_login('$state', '$user'); SELECT line_user_id FROM customers WHERE id = 4712"),
	"4712\n$user", '... into the table of accounts');
$sim->stop;

$node->stop;
done_testing();
