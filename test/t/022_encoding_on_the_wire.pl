# What is sent from a database that is not UTF8: the request is UTF-8 all the
# same, and compact JSON; and a row whose text has no UTF-8 form (only a restore
# by the owner can bring one) is that row's fault, not the worker's.
# TAP: two databases, a worker, the simulator's record of the bytes.

use strict;
use warnings;
use utf8;

use Encode;
use JSON::PP;
use Test::More;

use LineNotify::Node;
use LineNotify::Sim;

$ENV{PGCLIENTENCODING} = 'UTF8';

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', init => [ extra => [ '--encoding=UTF8', '--locale=C' ] ]);

for my $encoding (qw(EUC_JP SQL_ASCII))
{
	my $db = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	$sim->reset;
	$node->install($db, $sim);

	$node->safe_psql($db, encode_utf8(q{
INSERT INTO line_notify.outbox (phone, use_case, messages)
VALUES ('０９０－１２３４－５６７８', 'reminder', '[{"type": "text", "text": "明日、ご予約の日です。 a: b, c"}]');
INSERT INTO line_notify.outbox (phone, use_case, template_key, body)
VALUES ('090-1234-5678', 'reminder', 'reminder_ja', '{"items": [{"itemKey": "date_002_ja", "content": "11月21日 "}]}')}));
	$node->wait_states($db, accepted => 2);

	my @sent = $sim->requests(body => 1);
	is(scalar @sent, 2, "$encoding: two requests");
	my ($flexible) = grep { $_->{body} =~ /"messages"/ } @sent;
	my ($template) = grep { $_->{body} =~ /"templateKey"/ } @sent;
	my $utf8 = sub { my $b = $_[0]; utf8::encode($b) if utf8::is_utf8($b); return $b };
	like($utf8->($flexible->{body}), qr/\Q@{[ encode_utf8('"text":"明日、ご予約の日です。 a: b, c"') ]}\E/,
		"$encoding: UTF-8, and spaces within a string stay");
	like($utf8->($template->{body}), qr/\Q@{[ encode_utf8('"body":{"items":[{"content":"11月21日 ","itemKey":"date_002_ja"}]}') ]}\E/,
		"$encoding: no space between tokens");
}

# bytes that are no UTF-8, as only a restore can bring them
{
	local $ENV{PGCLIENTENCODING} = 'SQL_ASCII';
	my $pid = $node->worker_pid('sql_ascii');
	$node->safe_psql('sql_ascii', q{
INSERT INTO line_notify.outbox (channel, recipient, use_case, messages, state, due_at, expires_at, home, created_at)
SELECT 'shop', repeat('a', 64), 'reminder', jsonb_build_array(jsonb_build_object('type', 'text', 'text', convert_from('\x61ff', 'SQL_ASCII'))),
	'queued', now(), now() + interval '1 hour', home, now() FROM line_notify.channel;
INSERT INTO line_notify.outbox (phone, use_case, messages) VALUES ('09012345678', 'reminder', '[{"type": "text", "text": "next"}]')});
	$node->wait_states('sql_ascii', accepted => 3, invalid => 1);
	is($node->safe_psql('sql_ascii', q{SELECT error FROM line_notify.notifications WHERE state = 'invalid'}),
		'a text cannot be written in UTF-8', 'one row is invalid, and says why');
	is($node->worker_pid('sql_ascii'), $pid, 'the worker lives on');
	is(scalar(grep { $_->{body} =~ /"next"/ } $sim->requests(body => 1)), 1, 'and the next message is sent');
}

$node->stop;
done_testing();
