# A server that lies: half headers, garbage, NUL bytes, invalid UTF-8, bodies
# without end or a byte at a time, answers before the request is read, storms of
# 1xx, wrong lengths.  One row is concerned, its state is true, one copy at the
# most, the worker lives and its memory stays.  The circuit breaker is kept
# quiet by good answers in between.  TAP: the network.

use strict;
use warnings;

use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim, channel => "total_timeout => '60 s', backoff_base => '100 ms', backoff_cap => '200 ms'");
my $n = 0;

# For what never ends: long enough for the first bytes on a busy machine.
sub patience { return $node->safe_psql('postgres', "SELECT line_notify.alter_channel('shop', total_timeout => '$_[0]')"); }

sub one
{
	my ($state, $copies, $name, @do) = @_;
	my %rule = ref $do[0] eq 'HASH' && exists $do[0]{rule} ? %{ $do[0]{rule} } : (at => 'body', do => \@do);
	$sim->script_only({ match => { path => 'send' }, times => 1, %rule });
	$node->insert('postgres', 1, first => ++$n);
	my $ok = $node->poll_query_until('postgres', "SELECT state::text ~ '^($state)\$' FROM line_notify.notifications WHERE reference = 'ref $n'");
	ok($ok, "$name: $state") or diag $node->safe_psql('postgres', "SELECT state, http_status, error FROM line_notify.notifications WHERE reference = 'ref $n'");
	my $id = $node->safe_psql('postgres', "SELECT id FROM line_notify.notifications WHERE reference = 'ref $n'");
	my @got = grep { $_->{tag} =~ /^ln1-$id-/ } $sim->requests(path => 'send');
	cmp_ok(scalar(@got), '<=', $copies, "$name: at most $copies");
	# a good one, for the breaker
	$sim->script_only();
	$node->insert('postgres', 1, first => 1000 + $n);
	$node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = 'ref @{[ 1000 + $n ]}'")
	  or fail("$name: the next one");
}

one('accepted', 1, 'warm up', 'answer');
my $pid = $node->worker_pid('postgres');
my $rss = rss($pid);
one('unknown', 1, 'closed without a word', 'close');
one('unknown', 1, 'reset without a word', 'reset');
one('unknown', 1, 'half a status line', { send => "HTTP/1." }, 'close');
one('unknown', 1, 'garbage', { send => "\0\1\2 not http at all\r\n\r\n" }, 'close');
one('unknown', 1, 'NUL in the status line', { send => "HTTP/1.1 2\0" . "02 Accepted\r\n\r\n" }, 'close');
one('accepted', 1, 'status, then nothing', { answer_to => 'headers' }, 'close');
one('accepted', 1, 'status, headers, a cut body', { send => "HTTP/1.1 202 Accepted\r\nContent-Length: 1000\r\n\r\n{}" }, 'close');
one('accepted', 1, 'a length that is a lie', { send => "HTTP/1.1 202 Accepted\r\nContent-Length: 1\r\n\r\n{\"a\":\"much longer than said\"}" }, 'close');
one('refused', 1, 'an error in invalid UTF-8', { rule => { answer => { status => 400, body_base64 => 'eyJtZXNzYWdlIjoi//6AAIEifQ==' } } });
one('refused', 1, 'an error of 8 MB', { rule => { answer => { status => 400, body_size => 8000000 } } });
one('accepted', 1, 'a few 1xx', { rule => { at => 'body', do => [ { inform => { status => 103, times => 3 } }, 'answer' ] } });
one('refused', 1, 'an answer before the body is read', { rule => { at => 'head', answer => 400, do => [ 'answer', 'close' ] } });
one('unknown', 1, '500 with HTML', { rule => { answer => { status => 500, body => '<html>' . ('x' x 100000) . '</html>' } } });
patience('3 s');
one('unknown', 1, 'silence', 'stall');
one('accepted', 1, 'a body without end', { rule => { at => 'body', do => [ { send => "HTTP/1.1 202 Accepted\r\n\r\n" }, { send => { size => 65536, times => 'forever' } } ] } });
one('accepted', 1, 'a byte at a time', { rule => { at => 'body', do => [ { send => "HTTP/1.1 202 Accepted\r\n\r\n" }, { send => { text => 'x', times => 'forever', interval => 0.2 } } ] } });
one('unknown', 1, 'a storm of 1xx', { rule => { at => 'body', do => [ { inform => { status => 103, times => 'forever', interval => 0.001 } } ] } });
patience('60 s');
# before the body was asked for, nothing was sent: then it goes again
one('unknown|accepted', 1, 'reset after the head', { rule => { at => 'head', do => ['reset'] } });

is($node->worker_pid('postgres'), $pid, 'the worker lives');
my $grown = rss($pid) - $rss;
note "resident memory grew by $grown kB";
cmp_ok($grown, '<', 20000, 'and its memory stays');
is($sim->summary->{messages}{accepted_twice}, 0, 'nobody got two copies');
is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.notifications WHERE state IN ('queued', 'sending')"), 0, 'nothing is stuck');
unlike(slurp_file($node->logfile), qr/(PANIC|TRAP|was terminated by signal)/, 'no crash in the log');
$node->stop;
$sim->stop;
done_testing();

sub rss
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/status") =~ /^RssAnon:\s*(\d+)/m ? $1 : 0;
}
