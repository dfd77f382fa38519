# A channel that was paused because LINE answered 401 goes on by itself when
# LINE takes its credential again: asked now and then, by a question that sends
# nothing; with an issued token, one from a file, and an inline one.  A pause
# that an operator made stays.  TAP: workers, LINE's outage, and time.

use strict;
use warnings;

use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, name => $_) for qw(issued file inline held);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub insert
{
	my ($channel, $ref) = @_;
	sql("INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, reference) VALUES ('$channel', '090-1234-5678', 'parcel_delivery', 'shipment_completed_ja', '$ref')");
}
sub waits
{
	my ($query, $name) = @_;
	ok($node->poll_query_until('postgres', $query), $name) or diag(sql('SELECT name, paused, pause_reason FROM line_notify.channels'));
}
my $file = PostgreSQL::Test::Utils::tempdir() . '/token';
open my $f, '>', $file or die $!;
print $f $sim->token, "\n";
close $f;
chmod 0600, $file;
sql("SELECT line_notify.set_credential('issued', 'client_secret', '@{[ LineNotify::Sim::SECRET() ]}');
	SELECT line_notify.set_credential('file', 'access_token', 'file:$file')");
insert($_, "first $_") for qw(issued file inline held);
$node->wait_states('postgres', accepted => 4);

# LINE refuses every token, for messages and for questions
$sim->script({ name => 'ill', match => { path => 'send' }, answer => 401 });
$sim->script({ name => 'ill too', match => { path => '/v2/bot/info' }, answer => 401 });
my $offset = -s $node->logfile;
insert($_, "second $_") for qw(issued file inline);
waits("SELECT count(*) = 3 FROM line_notify.channels WHERE paused AND pause_automatic", 'three channels are paused by the worker');
my @sent = $sim->requests(path => 'send');
sql("SELECT line_notify.pause('held', 'maintenance')");
insert('held', 'second held');
is($sim->wait_until(sub { scalar(grep { $_->{path} eq '/v2/bot/info' } $sim->requests) >= 3 }, 60) ? 1 : 0, 1, 'each is asked about');
is(sql("SELECT count(*) FROM line_notify.channels WHERE paused AND pause_automatic"), 3, 'LINE still refuses: they stay paused');
ok($sim->wait_until(sub { scalar(grep { $_->{path} =~ /oauth2/ } $sim->requests) >= 3 }, 60), 'an issued token is asked for anew');
is(scalar($sim->requests(path => 'send')), scalar(@sent), 'no message was used to find out');

# LINE is well again
$sim->clear_script;
waits("SELECT count(*) = 0 FROM line_notify.channels WHERE paused AND pause_automatic", 'they go on by themselves');
waits("SELECT count(*) = 7 FROM line_notify.notifications WHERE state = 'accepted'", 'and their messages are sent');
$node->wait_for_log(qr/resumed channel "$_": LINE takes its credential again/, $offset) for qw(issued file inline);
is(sql("SELECT state || ' ' || attempts FROM line_notify.notifications WHERE reference = 'second issued'"), 'accepted 1', 'the refused attempts do not count');
is(sql("SELECT paused AND NOT pause_automatic FROM line_notify.channels WHERE name = 'held'"), 't', 'the operator\'s pause stays');
is($sim->summary->{messages}{accepted_twice}, 0, 'none twice');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/\Q@{[ LineNotify::Sim::SECRET() ]}\E|\Q@{[ substr($sim->token, 0, 40) ]}\E/, 'no secret in the log');

$node->stop;
$sim->stop;
done_testing();
