# Over TLS and through a proxy, end to end: a certificate that is not right, a
# proxy that fails before or after CONNECT, or cuts the tunnel, never cost a
# second copy; what provably never left waits and is sent once when all is well.
# A ca_file that is replaced on disk is followed.  TAP: the network.

use strict;
use warnings;

use Test::More;
use File::Basename qw(dirname);
use File::Copy qw(copy move);
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $certs = PostgreSQL::Test::Utils::tempdir();
system('sh', dirname(__FILE__) . '/../mock/certs.sh', $certs) == 0 or plan skip_all => 'no openssl command';
my $sim = LineNotify::Sim->start(tls => [ "$certs/good.pem", "$certs/good.key" ]);
my $proxy = LineNotify::Sim->start_proxy;
my $node = LineNotify::Node->new('main');
copy("$certs/ca.pem", "$certs/used.pem") or die;
$node->install('postgres', $sim, channel =>
	"ca_file => '$certs/used.pem', total_timeout => '60 s', connect_timeout => '20 s', backoff_base => '100 ms', backoff_cap => '200 ms', settle_window => '0'");
my $n = 0;

# messages, and not the questions that go before them when a run of them failed
sub arrived { return scalar $sim->requests(path => 'send'); }

sub send_one
{
	$node->insert('postgres', 1, first => ++$n);
	return;
}

sub state_becomes
{
	my ($state, $name) = @_;
	ok($node->poll_query_until('postgres', "SELECT state IN ($state) FROM line_notify.notifications WHERE reference = 'ref $n'"), $name)
	  or diag $node->safe_psql('postgres', "SELECT * FROM line_notify.attempts WHERE id = (SELECT id FROM line_notify.notifications WHERE reference = 'ref $n')");
}

sub not_sent
{
	ok($node->poll_query_until('postgres',
		"SELECT count(*) > 0 FROM line_notify.attempts a JOIN line_notify.notifications m USING (id) WHERE m.reference = 'ref $n' AND m.state = 'queued' AND a.outcome = 'not_sent'"),
		"$_[0]: not sent, and waits");
}

send_one();
state_becomes("'accepted'", 'TLS with our own authority');

for my $bad (qw(expired future wronghost selfsigned otherca))
{
	my $before = arrived();
	$sim->tls(cert => "$certs/$bad.pem", key => "$certs/$bad.key");
	$sim->end_connections('close');
	send_one();
	not_sent("certificate $bad");
	is(arrived(), $before, 'nothing arrived');
	$sim->tls(cert => "$certs/good.pem", key => "$certs/good.key");
	state_becomes("'accepted'", 'mended: sent');
	is(arrived(), $before + 1, 'once');
}

# the authorities are replaced on disk: by the worker and by check_channel()
sub replace_ca
{
	my ($with) = @_;
	copy("$certs/$with", "$certs/new.pem") and move("$certs/new.pem", "$certs/used.pem") or die;
	return;
}

my $connection = "SELECT ok FROM line_notify.check_channel('shop') WHERE step = 'connection'";
replace_ca('selfsigned.pem');
ok($sim->wait_until(sub
	{
		send_one();
		$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM line_notify.attempts a JOIN line_notify.notifications m USING (id) WHERE m.reference = 'ref $n')");
		return $node->safe_psql('postgres', "SELECT bool_or(a.outcome = 'not_sent') FROM line_notify.attempts a JOIN line_notify.notifications m USING (id) WHERE m.reference = 'ref $n'") eq 't';
	}), 'ca_file is replaced: the worker follows');
is($node->safe_psql('postgres', $connection), 'f', 'and so does check_channel()');
replace_ca('ca.pem');
state_becomes("'accepted'", 'ca_file is put back: sent');
is($node->safe_psql('postgres', $connection), 't', 'and check_channel() is content');

# what shows neither in its time nor in its size, and not in its inode
sub refused_in_time
{
	return $sim->wait_until(sub
	{
		send_one();
		$node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM line_notify.attempts a JOIN line_notify.notifications m USING (id) WHERE m.reference = 'ref $n')") or die;
		return $node->safe_psql('postgres', "SELECT bool_or(a.outcome = 'not_sent') FROM line_notify.attempts a JOIN line_notify.notifications m USING (id) WHERE m.reference = 'ref $n'") eq 't';
	}, 20);
}

sub rewrite_ca
{
	my ($with, $size) = @_;
	my $text = slurp_file($with);
	open(my $file, '+<', "$certs/used.pem") or die $!;
	syswrite($file, $text . "\n" x ($size - length $text));
	truncate($file, $size);
	close $file;
	utime(1e9, 1e9, "$certs/used.pem") == 1 or die $!;
	return;
}
my $size = 100 + ((sort { $b <=> $a } map { -s "$certs/$_.pem" } qw(ca selfsigned))[0]);
rewrite_ca("$certs/ca.pem", $size);
send_one();
state_becomes("'accepted'", 'ca_file is written in place: sent');
rewrite_ca("$certs/selfsigned.pem", $size);
ok(refused_in_time(), 'written in place, with the size and the time it had: the worker follows');
is($node->safe_psql('postgres', $connection), 'f', 'and so does check_channel()');
rewrite_ca("$certs/ca.pem", $size);
state_becomes("'accepted'", 'and back: sent');
is($node->safe_psql('postgres', $connection), 't', 'as check_channel() says');
chmod(0, "$certs/used.pem") == 1 or die $!;
ok(refused_in_time(), 'made unreadable: the worker follows');
is($node->safe_psql('postgres', $connection), 'f', 'and so does check_channel()');
like($node->health('postgres'), qr/^error.channel shop.ca_file could not open the file: Permission denied/m, 'and health()');
chmod(0600, "$certs/used.pem") == 1 or die $!;
state_becomes("'accepted'", 'readable again: sent');

# nothing of a file is trusted in which anything cannot be read: here as there
for my $block ('X509 CRL', 'RSA PRIVATE KEY', 'CERTIFICATE')
{
	copy("$certs/ca.pem", "$certs/used.pem") or die;
	PostgreSQL::Test::Utils::append_to_file("$certs/used.pem", "-----BEGIN $block-----\nAAAA\n-----END $block-----\n");
	is($node->safe_psql('postgres', $connection), 'f', "a broken $block: check_channel() sees that the file is of no use");
	like($node->health('postgres'), qr/^error.channel shop.ca_file holds a certificate, key or list of revocations that cannot be read/m, 'and health()');
}
copy("$certs/ca.pem", "$certs/used.pem") or die;

my $url = 'http://127.0.0.1:' . $proxy->port;
$node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', proxy => '$url')");
send_one();
state_becomes("'accepted'", 'through a proxy');
cmp_ok(scalar($proxy->requests), '>', 0, 'which has seen it');

for my $case (
	[ 'closed at once', { at => 'accept', do => ['close'] }, "'accepted'" ],
	[ 'reset after CONNECT was read', { at => 'head', do => ['reset'] }, "'accepted'" ],
	[ 'CONNECT answered 503', { answer => 503 }, "'accepted'" ],
	[ 'CONNECT answered 407', { answer => 407 }, "'accepted'" ],
	[ 'closed when the tunnel stands', { at => 'tunnel', do => ['close'] }, "'accepted'" ],
	[ 'tunnel cut at the first byte', { at => 'open', do => [ { cut_up => 0 }, 'reset' ] }, "'accepted'" ],
	[ 'tunnel cut in the request', { at => 'open', do => [ { cut_up => 900 }, 'close' ] }, "'accepted', 'unknown'" ],
	[ 'tunnel cut in the answer', { at => 'open', do => [ { cut_down => 3000 }, 'reset' ] }, "'accepted', 'unknown'" ])
{
	my ($name, $rule, $states) = @$case;
	# a rule is for new connections: no old ones
	$sim->end_connections('close');
	my $before = arrived();
	eval { $proxy->script_only({ %$rule, times => 1 }); 1 } or do { fail("$name: $@"); next; };
	send_one();
	state_becomes($states, "proxy, $name");
	cmp_ok(arrived(), '<=', $before + 1, 'one copy at the most');
	$proxy->script_only();
	$node->safe_psql('postgres', "SELECT line_notify.resume('shop')");
}
is($sim->summary->{messages}{received_twice}, 0, 'no message was received twice');
my %seen = map { $_->{tag} =~ /^ln1-(\d+)-/ ? ($1 => 1) : () } $sim->requests(path => 'send');
my @lies = grep { !$seen{$_} } split /\n/, $node->safe_psql('postgres', "SELECT id FROM line_notify.notifications WHERE state = 'accepted'");
is("@lies", '', 'what is accepted was received');
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$_->stop for $proxy, $sim;
done_testing();
