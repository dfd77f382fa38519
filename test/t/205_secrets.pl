# No secret and no telephone number comes to rest anywhere: credentials in
# files, the tokens issued for them, and the numbers of customers are looked
# for in the log at DEBUG5, in pg_stat_activity, in a dump, in every relation
# and in every file of the data directory, after use, errors and a crash.
# TAP: needs files, a worker, and the simulated LINE API to issue tokens.

use strict;
use warnings;

use File::Find ();
use File::Temp ();
use Test::More;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $contrib = -e `pg_config --sharedir` =~ s/\n//r . '/extension/pg_stat_statements.control';
my $node = LineNotify::Node->new('main',
	log_min_messages => 'debug5', log_statement => 'none', log_min_error_statement => 'error', log_min_duration_statement => -1,
	shared_preload_libraries => $contrib ? 'line_notify, pg_stat_statements' : 'line_notify');
my $dir = File::Temp->newdir;
my ($id, $secret) = (LineNotify::Sim::CHANNEL(), LineNotify::Sim::SECRET());
my %needle = ('channel secret' => $secret);
sub sql { return $node->safe_psql('postgres', $_[0]); }

sub spit
{
	my ($name, $text) = @_;
	my $old = umask 077;
	open(my $f, '>', "$dir/$name") or die $!;
	print $f $text;
	close $f;
	umask $old;
	return "file:$dir/$name";
}

# everything that happens to a secret
my $file = spit('secret', "$secret\n");
my $pem = `openssl genrsa 2048 2>/dev/null`;
my $key = spit('key.pem', $pem);
my $public = `openssl rsa -in $dir/key.pem -pubout 2>/dev/null`;
$sim->channel(id => $id, secret => $secret, token => 'line-sim-token', keys => [ { kid => 'kid-1', pem => $public } ]);
$needle{'private key'} = (split /\n/, $pem)[3];
sql('CREATE EXTENSION line_notify');
sql('CREATE EXTENSION pg_stat_statements') if $contrib;
sql("SELECT line_notify.create_channel('shop', api_base => '" . $sim->url . "', line_channel_id => '$id')");
sql("SELECT line_notify.set_credential('shop', 'client_secret', '$file')");
sql("SELECT line_notify.set_credential('shop', 'channel_secret', '$file')");
my $phone = '090-9876-0123';
$needle{"phone $_"} = $_ for '98760123', '9876-0123', '9876 0123';
sub message
{
	sql("INSERT INTO line_notify.outbox (phone, use_case, template_key, body, reference)
		VALUES ('$phone', 'parcel_delivery', 'shipment_completed_ja', '{}', '$_[0]')");
	$node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = '$_[0]'") or die;
}
message('by secret');
sql("SELECT * FROM line_notify.check_channel('shop')");
# refused, and LINE sends the token back in its error
$sim->script({ match => { path => 'send' }, answer => { status => 401, body => '{"message":"bad token ' . ('Ab1' x 20) . '"}' }, times => 1 });
message('after a 401');
# the token endpoint echoes the form
$sim->expire_tokens(kind => 'stateless');
$sim->script({ match => { path => '/oauth2/v3/token' },
	answer => { status => 400, body => qq({"error":"invalid_client","error_description":"client_secret $secret is wrong"}) }, times => 1 });
$sim->script({ match => { path => '/oauth2/v3/token' }, answer => { status => 200, body => qq({"access_token":"$secret"}) }, times => 1 });
message('after the endpoint repeated our secret') ;
sql("SELECT line_notify.set_credential('shop', 'jwt_key', '$key', key_id => 'kid-1')");
$sim->expire_tokens(kind => 'stateless');
message('by assertion');
my ($rc, $out, $err);
for my $bad ("SELECT line_notify.receive_webhook('shop', 'x', 'bad signature')",
	"INSERT INTO line_notify.outbox (phone, channel, use_case, template_key) VALUES ('$phone', 'nil', 'parcel_delivery', 'x')",
	"INSERT INTO line_notify.outbox (phone, use_case, template_key, messages) VALUES ('$phone', 'parcel_delivery', 'x', '[]')",
	"INSERT INTO line_notify.outbox (phone, use_case, template_key, region) VALUES ('$phone', 'parcel_delivery', 'x', 'XX')",
	"SELECT line_notify.assert_phone('$phone 5')",
	"SELECT line_notify.suppress_recipient('$phone 5')")
{
	($rc, $out, $err) = $node->psql('postgres', $bad);
	isnt($rc, 0, 'an error, to be logged: ' . substr($bad, 0, 40));
}
sql("SELECT line_notify.suppress_recipient('$phone'); SELECT line_notify.unsuppress_recipient('$phone')");
# lines that COPY cannot read, and rows that a constraint refuses
for my $line ("$phone\tparcel_delivery\tx\tmore", "$phone\tparcel_delivery")
{
	($rc, $out, $err) = $node->psql('postgres', "COPY line_notify.outbox (phone, use_case, template_key) FROM STDIN;\n$line\n\\.\n");
	like($err, qr/9876-0123/, 'the client sees its line');
}
# whatever way our tables are named
for my $into ('"line_notify" . "outbox"', 'LINE_NOTIFY.Outbox', 'line_notify.messages')
{
	($rc, $out, $err) = $node->psql('postgres', "INSERT INTO $into (phone, use_case, no_such_column) VALUES ('$phone', 'parcel_delivery', 'x')");
	like($err, qr/no_such_column/, "refused by the parser: $into");
}
($rc, $out, $err) = $node->psql('postgres', "SET search_path = line_notify; INSERT INTO messages (phone, no_such_column) VALUES ('$phone', 'x')");
# also where a function, with a search_path of its own, refuses it
my $given = $needle{'credential of no channel'} = 'given-to-a-channel-that-is-not-there';
sql(q{CREATE FUNCTION public.refuse(text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog AS $$ BEGIN RAISE 'refused'; END $$});
for my $bad ("SELECT * FROM find_notifications(phone => '$phone 5')", "SELECT suppress_recipient('$phone 5')",
	"SELECT wait_for('$phone 5')", "SELECT cancel(reference => 'x', nix => '$phone')", "SELECT 1 / 0 FROM notifications WHERE reference <> '$phone'",
	"SELECT take_outcomes(nix => '$phone')", "SELECT set_credential('none', 'channel_secret', '$given')", "SELECT public.refuse(m::text) FROM messages AS m UNION SELECT public.refuse('$phone')")
{
	($rc, $out, $err) = $node->psql('postgres', "SET search_path = line_notify; $bad");
	like($err, qr/ERROR/, 'refused within a function: ' . substr($bad, 0, 40));
}
# at whatever level statements are logged
sql(q{CREATE FUNCTION public.tell(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told'; RETURN ''; END $$});
$node->psql('postgres', "SET log_min_messages = notice; SET log_min_error_statement = notice; SELECT public.tell('$phone'), count(*) FROM line_notify.messages");
# and statements of others are not hidden for a word
$node->psql('postgres', "SELECT 1 / 0 AS foreign_statement, 'the outbox of phone_number recipient'");
$needle{hash} = sql("SELECT encode(sha256('refused'), 'hex')");
($rc, $out, $err) = $node->psql('postgres', "INSERT INTO line_notify.suppression (recipient, set_by) VALUES ('$needle{hash}', NULL)");
like($err, qr/Failing row contains/, 'the client sees the row that a constraint refuses');

# the search works: an inline value is in the data directory, and nowhere else
my $inline = 'inline-value-for-development';
sql("SELECT line_notify.create_channel('dev'); SELECT line_notify.set_credential('dev', 'access_token', '$inline')");

# the tokens that LINE issued
my $i = 0;
for my $r ($sim->requests(headers => 1))
{
	my %h = ref $r->{headers} eq 'ARRAY' ? map { lc $_->[0] => $_->[1] } @{ $r->{headers} } : map { lc $_ => $r->{headers}{$_} } keys %{ $r->{headers} };
	$needle{'token ' . ++$i} = $1 if ($h{authorization} // '') =~ /Bearer (\S{30,})/;
}
cmp_ok($i, '>=', 4, 'several tokens were issued and used');

# --- look for them
my $activity = sql('SELECT * FROM pg_stat_activity');
$activity .= sql('SELECT * FROM pg_stat_statements') if $contrib;
my $relations = '';
$relations .= sql("SELECT * FROM $_")
  for split /\n/, sql(q{SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
	WHERE relkind IN ('r', 'v', 'p', 'm') AND (nspname = 'line_notify' OR nspname = 'pg_catalog' AND relname ~ '^(pg_stat_|pg_settings|pg_cursors|pg_prepared|pg_file)')});
my $dump = "$dir/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'dumped');
my $dumped = PostgreSQL::Test::Utils::slurp_file($dump);
sql('CHECKPOINT');
$node->stop('immediate');
$node->start;
$node->stop;
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/TRAP|PANIC/, 'no crash');
my %files;
File::Find::find({ no_chdir => 1, wanted => sub { $files{$File::Find::name} = PostgreSQL::Test::Utils::slurp_file($_) if -f $_ && -r $_ } }, $node->data_dir);
cmp_ok(scalar(keys %files), '>', 500, 'data directory with WAL read');
like($log, qr/STATEMENT: .*foreign_statement/, 'a statement of others with words of ours is logged');
like($log, qr/DEBUG/, 'log at debug level read');
like($relations, qr/kid-1|client|jwt_key/, 'relations read');

cmp_ok(scalar(grep { index($_, $inline) >= 0 } values %files), '>', 0, 'an inline value is found in the data directory');
is((grep { index($_, $inline) >= 0 } $log, $activity, $dumped), 0, 'and neither in log, activity nor dump');
for my $what (sort keys %needle)
{
	my @found;
	push @found, 'log' if index($log, $needle{$what}) >= 0;
	push @found, 'activity' if index($activity, $needle{$what}) >= 0;
	push @found, 'relations' if index($relations, $needle{$what}) >= 0;
	push @found, 'dump' if index($dumped, $needle{$what}) >= 0;
	push @found, grep { index($files{$_}, $needle{$what}) >= 0 } sort keys %files;
	is("@found", '', "$what is nowhere");
}
unlike($dumped, qr/COPY line_notify\.credential/, 'credentials are not dumped, not even their paths');

$sim->stop;
done_testing();
