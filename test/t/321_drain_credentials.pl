# drain() stays for a token that is on its way: every kind of credential, with a
# preloaded library and without, the first time and again.  What it does not wait
# for is a file that is not there.  TAP: drain, the token endpoint.

use strict;
use warnings;

use File::Temp ();
use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $dir = File::Temp::tempdir(CLEANUP => 1);
my $n = 0;
my $node;

sub sql { return $node->safe_psql('postgres', shift); }

sub write_file
{
	my ($name, $text) = @_;
	open my $f, '>', "$dir/$name" or die $!;
	print $f $text;
	close $f;
	chmod 0600, "$dir/$name";
	return "file:$dir/$name";
}

my ($key) = map { scalar qx{$_} } 'openssl genrsa 2048 2>/dev/null';
write_file('key', $key);
my $public = qx{openssl rsa -in '$dir/key' -pubout 2>/dev/null};
$sim->channel(id => LineNotify::Sim::CHANNEL(), secret => LineNotify::Sim::SECRET(), token => $sim->token, keys => [ { kid => 'kid-1', pem => $public } ]);

my @kinds = (
	[ 'access_token', sub { "'access_token', '@{[ $sim->token ]}'" } ],
	[ 'access_token in a file', sub { "'access_token', '" . write_file('token', $sim->token . "\n") . "'" } ],
	[ 'client_secret', sub { "'client_secret', '@{[ LineNotify::Sim::SECRET() ]}'" } ],
	[ 'client_secret in a file', sub { "'client_secret', '" . write_file('secret', LineNotify::Sim::SECRET() . "\n") . "'" } ],
	[ 'jwt_key', sub { "'jwt_key', 'file:$dir/key', key_id => 'kid-1'" } ],
);

for my $mode ('without preload', 'preloaded')
{
	for my $kind (@kinds)
	{
		my ($name, $credential) = @$kind;
		$node = LineNotify::Node->new('n' . ++$n,
			$mode eq 'preloaded' ? () : (shared_preload_libraries => ''));
		$node->install('postgres', $sim);
		sql("SELECT line_notify.set_credential('shop', 'access_token', NULL)");
		sql("SELECT line_notify.set_credential('shop', @{[ $credential->() ]})");
		# the token does not come at once
		$sim->config(latency => 0.3);
		for my $how ('cold', 'warm')
		{
			$node->restart if $how eq 'cold' && $mode eq 'preloaded';
			$node->insert('postgres', 3, first => $how eq 'cold' ? 1 : 101);
			my ($out, $err) = ('', '');
			$node->psql('postgres', "CALL line_notify.drain('1 min')", stdout => \$out, stderr => \$err);
			like($out, qr/^\d+\|0$/, "$mode, $name, $how: nothing is left")
			  or diag($err, sql('SELECT * FROM line_notify.health()'), sql('SELECT state, waiting_reason, error FROM line_notify.notifications'));
		}
		is(sql("SELECT count(*) FROM line_notify.notifications WHERE state = 'accepted'"), 6, "$mode, $name: all were sent");
		$sim->config(latency => 0);
		$node->stop;
	}
}

# a file that is not there is not waited for
$node = LineNotify::Node->new('last', shared_preload_libraries => '');
$node->install('postgres', $sim);
sql("SELECT line_notify.set_credential('shop', 'access_token', 'file:$dir/none')");
$node->insert('postgres', 1, first => 1);
is(sql("CALL line_notify.drain('1 hour')"), '0|1', 'a file that is not there: it says what is left');
is(sql('SELECT waiting_reason FROM line_notify.notifications'), 'credential unreadable', 'and why');
write_file('none', $sim->token . "\n");
is(sql("CALL line_notify.drain('1 min')"), '1|0', 'the next one finds it');
$node->stop;
$sim->stop;
done_testing();
