# check_channel() finds what is wrong between here and LINE, step by step, sends
# no message, shows no secret and can be cancelled.  TAP: needs a server to talk
# to; no worker runs, since it does not need one.

use strict;
use warnings;

use File::Temp ();
use Test::More;
use LineNotify::Sim;
use PostgreSQL::Test::Cluster;

my $sim = LineNotify::Sim->start;
my $node = PostgreSQL::Test::Cluster->new('main');
my ($id, $secret) = (LineNotify::Sim::CHANNEL(), LineNotify::Sim::SECRET());
$node->init;
$node->start;
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub steps { return sql("SELECT step || ' ' || ok FROM line_notify.check_channel('shop')"); }
sub fault { return sql("SELECT step || ': ' || detail FROM line_notify.check_channel('shop') WHERE NOT ok"); }
sub credential { sql("SELECT line_notify.set_credential('shop', $_[0])"); }

$sim->config(webhook => { url => 'https://shop.example.com/line' });
sql('CREATE EXTENSION line_notify');
sql("SELECT line_notify.create_channel('shop', api_base => '" . $sim->url . "', line_channel_id => '$id')");
is(steps(), "webhook secret false\ncredential false", 'nothing is set');
credential("'channel_secret', '$secret'");

credential("'access_token', 'line-sim-token'");
is(steps(), "webhook secret true\ncredential true\nconnection true\naccount true\ntemplate messages true\nflexible messages true\nwebhook endpoint true",
	'all is well with an access token');
like(sql("SELECT detail FROM line_notify.check_channel('shop') WHERE step = 'webhook endpoint'"), qr{^LINE sends delivery events to https://shop\.example\.com/line$}, 'the webhook is named');
$sim->config(webhook => { mode => 'off' });
like(fault(), qr{^webhook endpoint: it is https://shop\.example\.com/line, and switched off}, 'one that is switched off');
$sim->config(webhook => { mode => 'queue', url => undef });
like(fault(), qr/^webhook endpoint: the channel has none/, 'none is set');
# answers that are none: nothing is said of the webhook, nor of the connection that was good a moment ago
my $question = { path => '/v2/bot/channel/webhook/endpoint' };
for my $body ('<html>', '[]', '{}', '{"endpoint": "", "active": true}', '{"endpoint": "https://shop.example.com/line"}', '{"endpoint": 5, "active": true}', '{"endpoint": "https://shop.example.com/line", "active": "yes"}')
{
	$sim->script_only({ match => $question, answer => { status => 200, body => $body } });
	is(fault(), "webhook endpoint: LINE's answer is not understood", "webhook: $body");
}
for my $answer (500, 403)
{
	$sim->script_only({ match => $question, answer => $answer });
	like(fault(), qr/^webhook endpoint: LINE answered $answer/, "webhook: $answer");
	unlike(sql("SELECT hint FROM line_notify.check_channel('shop') WHERE NOT ok"), qr/enabled notification messages/, 'which says nothing about sending');
}
$sim->script_only({ match => $question, at => 'body', do => ['close'] });
like(fault(), qr/^webhook endpoint: transfer: /, 'webhook: no answer');
is(sql("SELECT string_agg(ok::text, ',') FROM line_notify.check_channel('shop') WHERE step = 'connection'"), 'true', 'each step is told once');
$sim->script_only({ match => { path => '/v2/bot/message/delivery/pnp' }, at => 'body', do => ['close'] });
like(fault(), qr/^flexible messages: transfer: /, 'nor to another question');
$sim->clear_script;
$sim->config(webhook => { url => 'https://shop.example.com/line' });
credential("'access_token', 'wrong-token-wrong-token-wrong-token-wrong'");
like(fault(), qr/^account: LINE answered 401: Authentication failed/, 'a wrong token');
unlike(sql("SELECT * FROM line_notify.check_channel('shop')"), qr/wrong-token/, 'is not shown');

credential("'client_secret', '$secret'");
is(steps(), "webhook secret true\ncredential true\nconnection true\ntoken true\naccount true\ntemplate messages true\nflexible messages true\nwebhook endpoint true",
	'all is well with a channel secret');
credential("'client_secret', 'nonsense'");
like(fault(), qr/^token: the token endpoint answered 400: invalid_client/, 'a wrong channel secret');

credential("'client_secret', '$secret'");
$sim->script({ match => { path => '/v2/bot/message/delivery/pnp/templated' },
	answer => { status => 403, body => '{"message":"Access to this API is not available for your account"}' } });
like(fault(), qr/^template messages: LINE answered 403: Access to this API/, 'an account without permission');
like(sql("SELECT hint FROM line_notify.check_channel('shop') WHERE NOT ok"), qr/Security tab/, '... which may be an address that is not in the list');
$sim->clear_script;

sql("SELECT line_notify.alter_channel('shop', api_base => 'http://127.0.0.1:1')");
like(fault(), qr/^connection: connection: /, 'nobody listens on port 1');
sql("SELECT line_notify.alter_channel('shop', api_base => 'https://no-such-host.invalid')");
like(fault(), qr/^connection: (name resolution|time-out): /, 'a name that does not resolve');

# a certificate of nobody we trust, then trusted, then for another host
my $dir = File::Temp->newdir;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost "
	. "-keyout $dir/key.pem -out $dir/cert.pem 2>/dev/null") == 0 or die;
my $tls = LineNotify::Sim->start(tls => [ "$dir/cert.pem", "$dir/key.pem" ]);
$tls->config(webhook => { url => 'https://shop.example.com/line' });
sql("SELECT line_notify.alter_channel('shop', api_base => 'https://localhost:" . $tls->port . "')");
like(fault(), qr/^connection: TLS: /, 'a certificate that nobody vouches for');
sql("SELECT line_notify.alter_channel('shop', ca_file => '$dir/cert.pem')");
is(fault(), '', 'trusted by ca_file');
sql("SELECT line_notify.alter_channel('shop', api_base => 'https://127.0.0.1:" . $tls->port . "')");
like(fault(), qr/^connection: TLS: /, 'a certificate of another host');
sql("SELECT line_notify.alter_channel('shop', ca_file => '')");
$tls->stop;
sql("SELECT line_notify.alter_channel('shop', api_base => '" . $sim->url . "')");

# cancelled while the server says nothing
$sim->listen('deaf');
my ($rc, $out, $err) = $node->psql('postgres',
	"SET statement_timeout = '300ms'; SELECT * FROM line_notify.check_channel('shop')");
like($err, qr/statement timeout/, 'it can be cancelled');
$sim->listen('on');
is(steps() =~ tr/\n//, 7, 'and works afterwards');

($rc, $out, $err) = $node->psql('postgres', "SELECT * FROM line_notify.check_channel('nil')");
like($err, qr/channel "nil" does not exist/, 'no such channel');
sql('CREATE ROLE nobody');
($rc, $out, $err) = $node->psql('postgres', "SET ROLE nobody; SELECT * FROM line_notify.check_channel('shop')");
like($err, qr/permission denied for function check_channel/, 'not for everybody');
is(scalar(grep { $_->{path} =~ /push/ } $sim->requests), 0, 'no message was sent by all this');

$node->stop;
$sim->stop;
done_testing();
