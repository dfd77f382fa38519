# The extension comes and goes under a running worker, by every road, also with
# transfers on the wire; versions of library and objects that do not match stop
# the worker and say so.  TAP: processes.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->safe_psql('postgres', 'CREATE DATABASE shop');
my $n = 0;

sub worker_gone
{
	return $node->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'shop')");
}

sub sends
{
	my ($name) = @_;
	my $before = $sim->summary->{requests};
	$node->insert('shop', 1, first => ++$n);
	ok($sim->wait_requests($before + 1), $name);
}

# created and rolled back
$node->safe_psql('shop', 'BEGIN; CREATE EXTENSION line_notify; ROLLBACK');
worker_gone();
is($node->safe_psql('shop', "SELECT count(*) FROM pg_extension WHERE extname = 'line_notify'"), 0, 'a rolled-back CREATE EXTENSION leaves nothing');

for my $drop ('DROP EXTENSION line_notify', 'DROP OWNED BY keeper CASCADE',
	'BEGIN; DROP EXTENSION line_notify; COMMIT')
{
	$node->safe_psql('shop', 'CREATE ROLE keeper SUPERUSER') if $drop =~ /OWNED/;
	my $as = $drop =~ /OWNED/ ? 'SET ROLE keeper; ' : '';
	$node->safe_psql('shop', $as . 'CREATE EXTENSION line_notify');
	$node->install('shop', $sim);
	sends("after CREATE EXTENSION, before $drop");
	$sim->script_only({ match => { path => 'send' }, at => 'body', do => [{ delay => 20 }, 'answer'] });
	my $before = $sim->summary->{requests};
	$node->insert('shop', 2, first => $n + 1);
	$n += 2;
	$sim->wait_requests($before + 2) or die;
	$node->safe_psql('shop', $drop);
	$sim->script_only();
	ok(worker_gone(), "$drop: the worker leaves");
}

# the schema belongs to the extension
$node->install('shop', $sim);
my ($rc, $out, $err) = $node->psql('shop', 'DROP SCHEMA line_notify CASCADE');
like($err, qr/extension line_notify requires it/, 'the schema goes with the extension only');
$node->safe_psql('shop', 'DROP EXTENSION line_notify');

# dropped, and the drop rolled back, and dropped and created in one go
$node->install('shop', $sim);
sends('created again');
my $pid = $node->worker_pid('shop');
$node->safe_psql('shop', 'BEGIN; DROP EXTENSION line_notify; ROLLBACK');
sends('after a rolled-back DROP');
is($node->worker_pid('shop'), $pid, 'with the same worker');
# with a channel in the same transaction: a worker without one leaves at once
$node->safe_psql('shop', "BEGIN; DROP EXTENSION line_notify; CREATE EXTENSION line_notify;
	SELECT line_notify.create_channel('shop', api_base => '@{[ $sim->url ]}', line_channel_id => '@{[ LineNotify::Sim::CHANNEL() ]}');
	SELECT line_notify.set_credential('shop', 'access_token', '@{[ $sim->token ]}');
	COMMIT");
sends('after DROP and CREATE in one transaction');
is($node->worker_pid('shop'), $pid, 'with the same worker');

# objects of another version, then the right one
$node->safe_psql('shop', q{
UPDATE pg_extension SET extversion = '99.0' WHERE extname = 'line_notify';
SELECT line_notify._wake()});
ok($node->poll_query_until('shop', "SELECT state = 'version' FROM line_notify.workers WHERE database = 'shop'"), 'newer objects than the library: stands still');
like($node->health('shop'), qr/versions do not match.*99\.0.*restart/s, 'and health() says so');
my $before = $sim->summary->{requests};
$node->insert('shop', 1, first => ++$n);
# an older one, which no update script leads from
$node->safe_psql('shop', "UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'line_notify'; SELECT line_notify._wake()");
ok($node->poll_query_until('shop', "SELECT last_error LIKE '%0.9%' FROM line_notify.workers WHERE database = 'shop'"), 'older objects than the library: stands still');
is($sim->summary->{requests}, $before, 'nothing was sent');
($rc, $out, $err) = $node->psql('shop', 'ALTER EXTENSION line_notify UPDATE');
like($err, qr/no update path/, 'ALTER EXTENSION UPDATE');
$node->safe_psql('shop', "UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'line_notify'");
$node->safe_psql('shop', 'ALTER EXTENSION line_notify UPDATE');
ok($sim->wait_requests($before + 1), 'ALTER EXTENSION UPDATE wakes the worker, which goes on');
is($node->health('shop'), '', 'and health() is content');

# a schema of that name that is not ours
$node->safe_psql('postgres', 'CREATE SCHEMA line_notify; CREATE TABLE line_notify.outbox (id int)');
($rc, $out, $err) = $node->psql('postgres', 'CREATE EXTENSION line_notify');
like($err, qr/already exists/, 'a schema that was there before is not taken over');

unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
is($sim->summary->{recipients}{received_twice}, 0, 'nobody got two copies');
$node->stop;
$sim->stop;
done_testing();
