=pod

=head1 NAME

LineNotify::Node - a server that sends, in a Perl test

=head1 SYNOPSIS

  use LineNotify::Node;
  use LineNotify::Sim;

  my $sim  = LineNotify::Sim->start;
  my $node = LineNotify::Node->new('main');         # started, preloaded
  $node->install('postgres', $sim);                 # extension, channel, token
  $node->insert('postgres', 10);                    # ten messages
  $node->wait_states('postgres', accepted => 10);
  is_deeply($node->states('postgres'), { accepted => 10 });

A thin layer over PostgreSQL::Test::Cluster, whose methods all work; waits
poll, bounded, and die with what was there instead.

Every server made here writes down what it does with each message, and
done_testing() holds that, what the tables say and what the simulators saw
against the model: test/model/replay.py.  A test that does by hand what no
process of ours does, says so, and why:

  use LineNotify::Node (untraced => 'leases are stolen by UPDATE');

=cut

package LineNotify::Node;

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();
use IPC::Run ();
use LineNotify::Sim ();
use Test::More ();
use Time::HiRes ();

our @ISA = ('PostgreSQL::Test::Cluster');

use constant TRACE => 'line_notify.trace';	# in the data directory

my %traced;						# name => node that was started
my $untraced;
my $look_failed;				# what was wrong with look.sql

# done_testing() of the test checks the traces first.
sub import
{
	my ($class, %opt) = @_;
	my $test = caller;
	my $plain = $test->can('done_testing') or return;
	no strict 'refs';
	no warnings 'redefine';
	$untraced = $opt{untraced};
	*{"${test}::done_testing"} = sub { check_traces(); goto &$plain; };
	return;
}

# name => value settings come after ours; init => [...] goes to init(),
# install_path => ... chooses another installation
sub new
{
	my ($class, $name, %opt) = @_;
	my $init = delete $opt{init} // [];
	my $start = delete $opt{start} // 1;
	my @create = exists $opt{install_path} ? (install_path => delete $opt{install_path}) : ();
	my $self = PostgreSQL::Test::Cluster->new($name, @create);
	bless $self, $class;
	$self->init(@$init);
	$self->append_conf(
		'postgresql.conf', qq{
shared_preload_libraries = 'line_notify'
max_worker_processes = 20
line_notify.node = 'test'
log_statement = none
line_notify.trace_file = '@{[ $untraced || ($ENV{LN_TRACE} // '') eq 'off' ? '' : TRACE ]}'
});
	$self->append_conf('postgresql.conf', "$_ = '$opt{$_}'") for sort keys %opt;
	$self->start if $start;
	return $self;
}

# What LD_PRELOAD says of a clock that is so many seconds ahead, for %ENV of
# a server or a simulator.
sub clock
{
	my ($seconds) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	PostgreSQL::Test::Utils::append_to_file("$dir/clock", "$seconds\n");
	PostgreSQL::Test::Utils::system_or_bail('cc', '-shared', '-fPIC', '-o', "$dir/clock.so", "$ENV{LN_SRC}/test/mock/clock.c", '-ldl');
	return (LD_PRELOAD => "$dir/clock.so", CLOCK_FILE => "$dir/clock");
}

# The same, for noon in Tokyo: no day ends while the test runs.
sub noon { return clock(12 * 3600 - (time + 9 * 3600) % 86400); }

sub trace { return $_[0]->data_dir . '/' . TRACE; }

sub start
{
	my ($self, @more) = @_;
	$traced{ $self->name } = $self;
	return $self->SUPER::start(@more);
}

sub stop
{
	my ($self, $mode, @more) = @_;
	$self->look if ($mode // 'fast') ne 'immediate';
	return $self->SUPER::stop($mode, @more);
}

# A psql that the server refuses may have ended before its query was written.
sub poll_query_until
{
	my ($self, @asked) = @_;
	my $deadline = Time::HiRes::time() + $PostgreSQL::Test::Utils::timeout_default;
	while (1)
	{
		my $left = $deadline - Time::HiRes::time();
		# one limit for all of them, also where each ends so
		local $PostgreSQL::Test::Utils::timeout_default = $left > 1 ? $left : 1;
		my $met = eval { $self->SUPER::poll_query_until(@asked) };
		return $met if $@ eq '';
		die $@ if $@ !~ /Broken pipe/ || $left <= 0;
		select(undef, undef, undef, 0.1);
	}
}

# How often these processes were given the CPU (Linux).
sub switches
{
	my ($self, @pids) = @_;
	my $sum = 0;
	for my $pid (@pids)
	{
		open(my $f, '<', "/proc/$pid/status") or die "process $pid is gone";
		while (<$f>)
		{
			$sum += $1 if /ctxt_switches:\s+(\d+)/;
		}
		close $f;
	}
	return $sum;
}

# Writes what the tables say into the trace, for each database that answers.
sub look
{
	my ($self) = @_;
	return if !defined $self->{_pid} || !-s $self->trace;
	my $ask = sub {
		my ($db, $sql) = @_;
		my ($rc, $out, $err) = $self->psql($db, "SET statement_timeout = '50s'; SET lock_timeout = '1s'; $sql",
			timeout => 60, on_error_stop => 1, extra_params => [ '-F', ' ' ]);
		# a lock that a test holds is nothing to look at, nor a database that it has dropped meanwhile
		$look_failed = "$db: $err" if $rc != 0 && $err =~ /does not exist|syntax error/ && $err !~ /FATAL: +database "\Q$db\E" does not exist/;
		return $rc == 0 ? $out : undef;
	};
	my $look = PostgreSQL::Test::Utils::slurp_file("$ENV{LN_SRC}/test/model/look.sql");
	my $dbs = eval { $ask->('postgres', 'SELECT oid, datname FROM pg_database WHERE datallowconn ORDER BY 1') } // return;
	for (split /\n/, $dbs)
	{
		my ($oid, $db) = split / /, $_, 2;
		next unless eval { $ask->($db, q{SELECT 1 FROM pg_extension WHERE extname = 'line_notify'}) };
		_append($self->trace, "look 0 0 $oid begin .");
		my $rows = eval { $ask->($db, $look) };
		next unless defined $rows;
		_append($self->trace, (map { s/^(\S+)/$1 0 0 $oid/r . ' .' } split /\n/, $rows), "look 0 0 $oid end .");
	}
	return;
}

# What a test does with its own hands, and no process of ours would: these
# messages are not held against the model ...
sub by_hand
{
	my ($self, $db, @ids) = @_;
	my $oid = $self->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = '$db'");
	_append($self->trace, map { "hand 0 0 $oid $_ ." } @ids);
	return;
}

# ... this one has a lease that is somebody else's ...
sub lease_stolen
{
	my ($self, $db, $id) = @_;
	my $oid = $self->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = '$db'");
	_append($self->trace, "stolen 0 0 $oid $id .");
	return;
}

# ... and these files that claimers left are gone, or not theirs.
sub journals_by_hand
{
	my ($self) = @_;
	_append($self->trace, 'journals 0 0 0 - .');
	return;
}

sub init_from_backup
{
	my ($self, @more) = @_;
	$self->SUPER::init_from_backup(@more);
	unlink $self->trace;
	# of which one, and which one itself is, as they call themselves in their traces
	_append($self->trace, join ' ', 'copy 0 0 0', (map { (stat $_->data_dir)[1] } $more[0], $self), '.');
	return;
}

sub _append
{
	my ($file, @lines) = @_;
	open(my $fh, '>>', $file) or die "$file: $!";
	syswrite($fh, "\n" . join("\n", @lines) . "\n");
	close $fh;
	return;
}

# A test that died has no done_testing().
END
{
	local $?;
	check_traces(1);
}

# A test of its own: all traces of this test file are of the model.
sub check_traces
{
	my ($died) = @_;
	my @files;
	for my $name (sort keys %traced)
	{
		my $node = $traced{$name};
		eval { $node->look };
		push @files, $node->trace if -s $node->trace;
	}
	%traced = ();
	return if $died && !@files;
	if ($untraced)
	{
		Test::More::note("no trace: $untraced");
		return;
	}
	return if !@files && ($ENV{LN_TRACE} // '') eq 'off';
	my $requests = "$PostgreSQL::Test::Utils::tmp_check/requests.$$";
	# without a trace none of them is of the model
	return unless LineNotify::Sim::write_requests($requests) || @files;
	my $said = '';
	my $ok = IPC::Run::run([ LineNotify::Sim::python(), "$ENV{LN_SRC}/test/model/replay.py", '--requests', $requests, @files ],
		'>&', \$said);
	if ($died)
	{
		Test::More::diag($said);
		return;
	}
	Test::More::is($look_failed, undef, 'the tables can be looked at');
	Test::More::ok($ok, 'what the servers did is what the model does') or Test::More::diag($said);
	Test::More::note($said =~ /([^\n]*)\n\z/ ? $1 : $said);
	return;
}

# The extension, one channel and its token in a database; more settings of
# create_channel as a text, e.g. "on_unknown => 'retry'".
sub install
{
	my ($self, $db, $sim, %opt) = @_;
	my $name = $opt{name} // 'shop';
	my $more = $opt{channel} ? ", $opt{channel}" : '';
	my $base = $opt{api_base} // $sim->url;
	$self->safe_psql($db, 'CREATE EXTENSION IF NOT EXISTS line_notify');
	$self->safe_psql(
		$db, qq{
SELECT line_notify.create_channel('$name', api_base => '$base',
	line_channel_id => '@{[ LineNotify::Sim::CHANNEL() ]}'$more);
SELECT line_notify.set_credential('$name', 'access_token', '@{[ $sim->token ]}');
SELECT line_notify.set_credential('$name', 'channel_secret', '@{[ LineNotify::Sim::SECRET() ]}');
});
	return;
}

# A streaming standby of this server, started and attached; name => value settings.
sub standby
{
	my ($self, $name, %conf) = @_;
	$self->backup("for_$name");
	my $standby = bless PostgreSQL::Test::Cluster->new($name), ref $self;
	$standby->init_from_backup($self, "for_$name", has_streaming => 1);
	$standby->append_conf('postgresql.conf', "$_ = '$conf{$_}'") for sort keys %conf;
	$standby->start;
	$self->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = '$name' AND state = 'streaming' AND replay_lsn IS NOT NULL")
	  or die "$name is not attached";
	return $standby;
}

# A statement that inserts $n messages to $n people, from number $first on.
sub insert_sql
{
	my ($self, $n, %opt) = @_;
	my $first = $opt{first} // 1;
	my $last = $first + $n - 1;
	my $columns = join '', map { ", $_" } sort keys %{ $opt{set} // {} };
	my $values = join '', map { ", $opt{set}{$_}" } sort keys %{ $opt{set} // {} };
	return qq{INSERT INTO line_notify.outbox (phone, use_case, template_key, body, reference$columns)
SELECT '090-' || lpad((1000 + i / 10000)::text, 4, '0') || '-' || lpad((i % 10000)::text, 4, '0'),
	'parcel_delivery', 'shipment_completed_ja',
	'{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}', 'ref ' || i$values
FROM generate_series($first, $last) i};
}

sub insert
{
	my ($self, $db, $n, %opt) = @_;
	$self->safe_psql($db, $self->insert_sql($n, %opt));
	return;
}

# state => count of all messages
sub states
{
	my ($self, $db, $where) = @_;
	my $rows = $self->safe_psql($db,
		'SELECT state, count(*) FROM line_notify.notifications '
		  . ($where ? "WHERE $where " : '') . 'GROUP BY 1 ORDER BY 1');
	return { map { split /\|/ } split /\n/, $rows };
}

# Waits until exactly these states are there.
sub wait_states
{
	my ($self, $db, %want) = @_;
	my $timeout = delete $want{timeout} // $PostgreSQL::Test::Utils::timeout_default;
	my $want = join ',', map { "$_=$want{$_}" } sort keys %want;
	my $deadline = Time::HiRes::time() + $timeout;
	my $have = '';
	while (Time::HiRes::time() < $deadline)
	{
		my $states = $self->states($db);
		$have = join ',', map { "$_=$states->{$_}" } sort keys %$states;
		return 1 if $have eq $want;
		select(undef, undef, undef, 0.05);
	}
	my $health = $self->safe_psql($db, 'SELECT * FROM line_notify.health()');
	die "states are $have, not $want\n$health\n";
}

# The worker, if there is one, has done what it knows of, and waits.
sub asleep
{
	my ($self, $db) = @_;
	$self->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = '$db' AND wait_event_type IS DISTINCT FROM 'Extension'")
	  or die "the worker for $db has no rest";
	return;
}

# Of five messages, at one a second (rate_limit => 1), one is always claimed and waits
# for its token: it is seen while the worker stands still.  Returns the worker's
# process id: it still does.
sub in_hand
{
	my ($self, $db, $sim, $insert) = @_;
	my $sent = $sim->summary->{requests};
	my $worker;
	$insert->(5);
	$sim->wait_requests($sent + 1) or die 'nothing is sent';
	$sim->wait_until(sub {
		$worker = $self->worker_pid($db);
		kill 'STOP', $worker;
		my $waits = $self->safe_psql($db, 'SELECT count(*), (SELECT count(*) FROM line_notify.in_flight) FROM line_notify.outbox');
		my $left = 5 + $sent - $sim->summary->{requests};
		return 1 if $left > 0 && $waits eq "$left|1";
		kill 'CONT', $worker;
		die 'all sent, and no claim seen' if $left == 0;
		return 0;
	}) or die 'no claim';
	return $worker;
}

# Does $do, and waits until the worker, who slept before, has looked and sleeps again.
sub turn
{
	my ($self, $db, $do) = @_;
	$self->asleep($db);
	my $since = $self->safe_psql('postgres', 'SELECT clock_timestamp()');
	$do->();
	$self->poll_query_until('postgres', "SELECT state = 'idle' AND state_change > '$since' AND wait_event_type = 'Extension' FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = '$db'")
	  or die "the worker for $db does not look";
	return;
}

# The worker of a database that is disarmed has looked, and left.
sub worker_left
{
	my ($self, $db) = @_;
	$self->poll_query_until($db, "SELECT count(*) = 1 FROM line_notify.workers WHERE database = '$db' AND state = 'idle'")
	  or die "the worker for $db stays";
	return;
}

# Statements of doc/availability.md that begin with a comment, as they stand there.
sub recipe
{
	my ($self, $name) = @_;
	my $doc = PostgreSQL::Test::Utils::slurp_file("$ENV{LN_SRC}/doc/availability.md");
	$doc =~ /^-- \Q$name\E\n(.*?)^```/ms or die "no recipe '$name'";
	return $1;
}

# Pid of the worker of a database, waited for.
sub worker_pid
{
	my ($self, $db) = @_;
	my $deadline = Time::HiRes::time() + $PostgreSQL::Test::Utils::timeout_default;
	while (Time::HiRes::time() < $deadline)
	{
		# one look: the worker of a second ago may have left
		my ($rc, $pids) = $self->psql('postgres',
			"SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = '$db'");
		return $pids if $pids =~ /^\d+$/;
		select(undef, undef, undef, 0.1);
	}
	die "no worker for $db";
}

# What health() says, a line each, of what $where selects.  On a busy machine it
# leaves parts out, or meets a lock of the moment, and says so: then it is asked
# again.
sub health
{
	my ($self, $db, $where) = @_;
	$where //= 'true';
	my $deadline = Time::HiRes::time() + $PostgreSQL::Test::Utils::timeout_default;
	while (1)
	{
		my $said = $self->safe_psql($db, "SELECT * FROM line_notify.health() WHERE subject = 'health' OR ($where)");
		return $said if $said !~ /^warning\|health\|/m;
		die "health() does not see everything:\n$said" if Time::HiRes::time() > $deadline;
		select(undef, undef, undef, 0.1);
	}
}

# Feeds every webhook the simulator has due to receive_webhook(); returns the
# number of events that were new.
sub deliver_webhooks
{
	my ($self, $db, $sim, $channel) = @_;
	$channel //= 'shop';
	my $new = 0;
	while (my @hooks = $sim->webhooks)
	{
		for my $hook (@hooks)
		{
			my ($body, $signature) = @$hook;
			my $hex = unpack('H*', $body);
			$new += $self->safe_psql($db,
				"SELECT line_notify.receive_webhook('$channel', '\\x$hex'::bytea, '$signature')");
		}
	}
	return $new;
}

1;
