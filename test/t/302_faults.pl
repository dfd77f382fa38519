# Faults of the configuration stop what they concern and no more: the channel
# (401), an endpoint of it (403 and the like), a template or design (a run of
# identical 400s).  No message loses an attempt, and a new token file ends the
# pause by itself.  TAP: the whole way through the worker.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);

sub sql { return $node->safe_psql('postgres', shift); }
sub waits { my ($query, $name) = @_; return ok($node->poll_query_until('postgres', $query), $name); }

# n messages, numbered from first, of a template, or flexible of a use case
sub put
{
	my ($first, $n, $template, $use_case) = @_;
	my ($columns, $values) = defined $template
	  ? ('template_key, body', qq('$template', '{}'))
	  : ('messages', qq('[{"type": "text", "text": "hello"}]'));
	$use_case //= 'reservation';
	sql(qq{INSERT INTO line_notify.outbox (phone, use_case, reference, $columns)
	SELECT '090-1000-' || lpad(i::text, 4, '0'), '$use_case', 'ref ' || i, $values FROM generate_series($first, $first + $n - 1) i});
	return;
}

# ---- an endpoint ---------------------------------------------------------
$sim->script({ match => { path => 'flexible' }, answer => 403 });
put(1, 3);
waits("SELECT count(*) = 1 FROM line_notify.partial_pause WHERE scope = 'endpoint' AND subject = 'flexible'",
	'403 to a flexible message: that endpoint is paused');
put(11, 3, 'tmpl');
waits("SELECT count(*) = 3 FROM line_notify.notifications WHERE state = 'accepted'", 'template messages go on');
waits("SELECT count(*) = 3 FROM line_notify.notifications WHERE reference IN ('ref 1', 'ref 2', 'ref 3') AND state = 'queued' AND attempts = 0",
	'the flexible ones wait, no attempt consumed');
is(sql('SELECT count(*) FROM line_notify.channel WHERE paused_at IS NOT NULL'), 0, 'the channel itself is not paused');
like(sql("SELECT reason FROM line_notify.health() WHERE severity = 'error'"), qr/paused flexible messages: .*403/, 'health() names it');
my $refused = $sim->summary->{requests};
put(4, 2);
put(14, 2, 'tmpl');
waits("SELECT count(*) = 5 FROM line_notify.notifications WHERE state = 'accepted'", 'more templates');
is($sim->summary->{requests}, $refused + 2, 'no further flexible message was tried');
$sim->clear_script;
sql("SELECT line_notify.resume('shop')");
waits("SELECT count(*) = 10 FROM line_notify.notifications WHERE state = 'accepted' AND attempts = 1", 'resume(): all of them are sent');

# ---- a template ----------------------------------------------------------
$sim->reset;
my $bad = sub { return { match => { path => 'send', body => $_[0] }, answer => { status => 400, body => { message => $_[1] } } }; };
$sim->script($bad->('"wrong"', 'The template is not approved'));
put(101, 100, 'wrong');
put(301, 20, 'right');
waits("SELECT count(*) = 1 FROM line_notify.partial_pause WHERE scope = 'template' AND subject = 'wrong'",
	'a run of identical 400s pauses the template');
waits("SELECT count(*) = 20 FROM line_notify.notifications WHERE state = 'accepted' AND template_key = 'right'", 'another one goes on');
waits("SELECT count(*) = 0 FROM line_notify.in_flight", 'nothing is on the wire any more');
my $lost = sql("SELECT count(*) FROM line_notify.notifications WHERE state = 'refused'");
cmp_ok($lost, '<', 95, "$lost of 100 were refused");
waits("SELECT count(*) = 100 - $lost FROM line_notify.notifications WHERE state = 'queued' AND attempts = 0 AND due_at = 'infinity'",
	'the others are set aside, no attempt consumed');
like(sql("SELECT reason FROM line_notify.health() WHERE severity = 'error'"), qr/template wrong.*20 messages in a row.*not approved/, 'health() names it');
like(sql("SELECT DISTINCT waiting_reason FROM line_notify.notifications WHERE state = 'queued'"),
	qr/paused/, 'and every message says what it waits for');
$sim->clear_script;
$sim->reset;
sql("SELECT line_notify.resume('shop')");
waits('SELECT count(*) = 0 FROM line_notify.outbox', 'resume() brings them back');
is($sim->summary->{requests}, 100 - $lost, 'once each');

# a design is the flexible messages of a use case; other words, other cause
$sim->reset;
$sim->script($bad->('hello', 'Not the approved design'));
put(401, 60, undef, 'reminder');
waits("SELECT count(*) = 1 FROM line_notify.partial_pause WHERE scope = 'design' AND subject = 'reminder'",
	'the same for flexible messages, by use case');
like(sql("SELECT reason FROM line_notify.health() WHERE severity = 'error'"), qr/paused flexible messages of use case reminder: LINE refused 20/, 'health() names it');
$sim->clear_script;
put(501, 5, undef, 'bill_confirmed');
waits("SELECT count(*) = 5 FROM line_notify.notifications WHERE state = 'accepted' AND use_case = 'bill_confirmed'", 'another use case goes on');
put(510, 5, 'tmpl', 'reminder');
waits("SELECT count(*) = 5 FROM line_notify.notifications WHERE state = 'accepted' AND template_key = 'tmpl' AND use_case = 'reminder'",
	'and template messages of the same one: it is the design that LINE refuses');
sql("SELECT line_notify.resume('shop')");
waits('SELECT count(*) = 0 FROM line_notify.outbox', 'resumed');
$sim->script(map { { %{ $bad->('"mixed"', "Field $_ is wrong") }, times => 1 } } 1 .. 40);
put(601, 40, 'mixed');
waits("SELECT count(*) = 40 FROM line_notify.notifications WHERE state = 'refused' AND template_key = 'mixed'",
	'forty different errors are forty bad messages');
is(sql('SELECT count(*) FROM line_notify.partial_pause'), 0, 'and pause nothing');

# ---- the token -----------------------------------------------------------
my $file = PostgreSQL::Test::Utils::tempdir() . '/token';
sub token { open my $f, '>', "$file.new" or die $!; print $f "$_[0]\n"; close $f; chmod 0600, "$file.new"; rename "$file.new", $file or die $!; return; }
token('wrong-token');
$sim->reset;
sql("SELECT line_notify.set_credential('shop', 'access_token', 'file:$file')");
put(701, 5, 'tmpl');
waits('SELECT paused AND pause_automatic FROM line_notify.channels', '401: the channel is paused, by the worker');
waits("SELECT count(*) = 5 FROM line_notify.notifications WHERE state = 'queued' AND attempts = 0", 'all wait, no attempt consumed');
token($sim->token);
waits('SELECT count(*) = 0 FROM line_notify.outbox', 'a good token in the file: sent, without a word from anybody');
is(sql('SELECT paused FROM line_notify.channels'), 'f', 'not paused any more');
is($sim->summary->{messages}{accepted_twice}, 0, 'none twice');

# an operator's pause is not the worker's to end
sql("SELECT line_notify.pause('shop', 'maintenance')");
token('another-token');
sql("SELECT line_notify.set_credential('shop', 'access_token', 'file:$file')");
token($sim->token);
sql("SELECT line_notify.set_credential('shop', 'access_token', 'file:$file')");
put(801, 1, 'tmpl');
put(802, 1, 'tmpl');
is(sql('SELECT paused AND NOT pause_automatic FROM line_notify.channels'), 't', 'new credentials do not end it');
sql("SELECT line_notify.resume('shop')");
waits('SELECT count(*) = 0 FROM line_notify.outbox', 'resume() does');

$node->stop;
$sim->stop;
done_testing();
