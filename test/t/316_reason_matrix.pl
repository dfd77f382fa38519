# Every reason for which a message can wait: how it comes about, how it ends, and
# within what time.  For each, waiting_reason says it, health() says it where an
# operator has something to do (subject, severity, a hint that works), and the
# message leaves within the bound once the obstacle has ended; with a preloaded
# worker, and by CALL drain() without one.  A reason of view waiting_reasons that
# has no row here fails.  TAP: processes, locks, a standby, the network.

use strict;
use warnings;

use File::Temp ();
use IPC::Run ();
use Test::More;
use Time::HiRes ();
use LineNotify::Sim;
use LineNotify::Node;

my $sim = LineNotify::Sim->start;
my $dir = File::Temp::tempdir(CLEANUP => 1);
chmod 0700, $dir;
my $n = 0;
my (%seen, $node, $worker, $seen_held);

sub sql { return $node->safe_psql('postgres', shift); }
sub conf { my ($line) = @_; $node->append_conf('postgresql.conf', $line); $node->reload; return; }
sub put { my (%opt) = @_; $node->insert('postgres', 1, first => ++$n, %opt); return "ref $n"; }
sub token { return sql("SELECT line_notify.set_credential('shop', 'access_token', '@{[ $sim->token ]}')"); }
sub put_file { my ($name, $text) = @_; open my $f, '>', "$dir/$name" or die $!; print $f $text; close $f; chmod 0600, "$dir/$name"; return; }

sub session
{
	my ($sql) = @_;
	my %s = (in => "$sql;\n\\echo begun\n", out => '');
	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$s{in}, '>', \$s{out}, '2>&1');
	$s{run}->pump until $s{out} =~ /begun/;
	return \%s;
}
sub finish { my ($s) = @_; $s->{in} .= "ROLLBACK;\n\\q\n"; $s->{run}->finish; return; }

sub stop_network { $sim->listen('off'); $sim->end_connections('reset'); return; }

# Cases.  begin makes the obstacle and returns the reference of a message that
# waits for it (a message is queued afterwards when it returns nothing).  health:
# severity, subject, reason, hint as regular expressions.  bound: seconds from the
# end of the obstacle.  drain: also without a preloaded library.
my $session;
my @cases = (
	{
		reason => 'channel paused', bound => 2, drain => 1,
		begin => sub { sql("SELECT line_notify.pause('shop', 'stocktaking')"); return; },
		health => [ 'error', 'channel shop', 'paused: stocktaking', 'line_notify.resume' ],
		end => sub { sql("SELECT line_notify.resume('shop')") },
	},
	{
		reason => 'endpoint paused', bound => 2, drain => 1,
		begin => sub { sql("INSERT INTO line_notify.partial_pause VALUES ('shop', 'endpoint', 'template', 'x')"); return; },
		health => [ 'error', 'channel shop', 'paused template messages', 'line_notify.resume' ],
		end => sub { sql("SELECT line_notify.resume('shop')") },
	},
	{
		reason => 'template paused', bound => 2, drain => 1,
		begin => sub { sql("SELECT line_notify.pause('shop', template_key => 'shipment_completed_ja')"); return; },
		health => [ 'error', 'channel shop', 'paused messages of template', 'template_key' ],
		end => sub { sql("SELECT line_notify.resume('shop', template_key => 'shipment_completed_ja')") },
	},
	{
		reason => 'use case paused', bound => 2, drain => 1,
		begin => sub { sql("SELECT line_notify.pause('shop', use_case => 'parcel_delivery')"); return; },
		health => [ 'error', 'channel shop', 'paused .*parcel_delivery', 'use_case' ],
		end => sub { sql("SELECT line_notify.resume('shop', use_case => 'parcel_delivery')") },
	},
	{
		reason => 'no credential', bound => 2, drain => 1,
		begin => sub { sql("SELECT line_notify.set_credential('shop', 'access_token', NULL)"); return; },
		health => [ 'error', 'channel shop', 'no credential', 'set_credential' ],
		end => sub { token() },
	},
	{
		reason => 'credential unreadable', bound => 12, drain => 1,
		begin => sub { sql("SELECT line_notify.set_credential('shop', 'access_token', 'file:$dir/late')"); return; },
		health => [ 'error', 'channel shop', 'the file of credential access_token', 'readable' ],
		end => sub { put_file('late', $sim->token . "\n"); chown((getpwuid $>)[ 2, 3 ], "$dir/late"); },
		after => sub { token(); unlink "$dir/late" },
	},
	{
		# the file is there, and empty: as when a secret's volume is still being filled
		reason => 'credential unreadable', what => 'an empty file', bound => 12, drain => 1,
		begin => sub { put_file('empty', ''); sql("SELECT line_notify.set_credential('shop', 'access_token', 'file:$dir/empty')"); return; },
		health => [ 'error', 'channel shop', 'the file of credential access_token', 'readable' ],
		end => sub { put_file('empty', $sim->token . "\n") },
		after => sub { token() },
	},
	{
		reason => 'no access token', bound => 65, drain => 1,
		begin => sub {
			$sim->script({ match => { path => 'token' }, answer => 500 });
			sql("SELECT line_notify.set_credential('shop', 'client_secret', '@{[ LineNotify::Sim::SECRET() ]}')");
			return;
		},
		health => [ 'error', 'channel shop', 'no access token since', 'asked for again' ],
		end => sub { $sim->clear_script },
		after => sub { token() },
	},
	{
		reason => 'access token being fetched', bound => 5,
		begin => sub {
			$sim->script({ match => { path => 'token' }, do => 'hold' });
			sql("SELECT line_notify.set_credential('shop', 'client_secret', '@{[ LineNotify::Sim::SECRET() ]}')");
			return;
		},
		end => sub { $sim->clear_script },
		slack => 30,
		after => sub { token() },
	},
	{
		reason => 'access token refused', bound => 5,
		begin => sub { $sim->script({ match => { path => 'send' }, answer => 401 }); my $ref = put(); return $ref; },
		health => [ 'error', 'channel shop', 'paused: LINE answered 401', 'set_credential' ],
		end => sub { $sim->clear_script; sql("SELECT line_notify.resume('shop')") },
	},
	{
		reason => 'quiet hours', bound => 2, drain => 1,
		begin => sub {
			sql("SELECT line_notify.alter_channel('shop', quiet_hours => to_char(now() AT TIME ZONE 'Asia/Tokyo' - interval '1 hour', 'HH24:MI') || '-' || to_char(now() AT TIME ZONE 'Asia/Tokyo' + interval '1 hour', 'HH24:MI'))");
			return;
		},
		health => [ 'info', 'channel shop', 'quiet hours until', '' ],
		end => sub { sql("SELECT line_notify.alter_channel('shop', quiet_hours => '')") },
	},
	{
		reason => 'daily budget used up', bound => 2, drain => 1,
		begin => sub {
			sql("INSERT INTO line_notify.daily_sent VALUES ('shop', (now() AT TIME ZONE 'Asia/Tokyo')::date, 100000), ('shop', (now() AT TIME ZONE 'Asia/Tokyo')::date + 1, 100000) ON CONFLICT (channel, day) DO UPDATE SET sent = 100000; SELECT line_notify.alter_channel('shop', daily_budget => 5)");
			return;
		},
		health => [ 'warning', 'channel shop', 'daily budget of 5', 'alter_channel' ],
		end => sub { sql("SELECT line_notify.alter_channel('shop', daily_budget => 0)") },
	},
	{
		reason => 'monthly limit reached', bound => 2,
		begin => sub {
			$sim->script({ match => { path => 'send' }, answer => { status => 429, body => '{"message":"You have reached your monthly limit."}' } });
			return put();
		},
		health => [ 'error', 'channel shop', 'monthly limit', 'plan' ],
		end => sub { $sim->clear_script; sql("SELECT line_notify.resume('shop')") },
	},
	{
		reason => 'LINE said wait', bound => 2,
		begin => sub {
			$sim->script({ match => { path => 'send' }, answer => { status => 429, headers => { 'Retry-After' => '600' } } });
			return put();
		},
		health => [ 'warning', 'channel shop', 'LINE said wait', 'goes on by itself' ],
		end => sub { $sim->clear_script; sql("SELECT line_notify.resume('shop')") },
	},
	{
		reason => 'next attempt', bound => 70,
		begin => sub { sql("SELECT line_notify.alter_channel('shop', backoff_base => '20 s', backoff_cap => '30 s')"); stop_network(); return put(); },
		end => sub { $sim->listen('on') },
		after => sub { sql("SELECT line_notify.alter_channel('shop', backoff_base => '1 s', backoff_cap => '1 s')") },
	},
	{
		reason => 'circuit breaker open', bound => 65,
		begin => sub { stop_network(); put() for 1 .. 12; return put(); },
		health => [ 'warning', 'channel shop', 'circuit breaker|requests fail|could not|refused', '' ],
		end => sub { $sim->listen('on') },
	},
	{
		reason => 'circuit breaker half-open', bound => 10,
		begin => sub {
			$sim->script({ match => { path => 'send' }, do => ['stall'] });
			sql("SELECT line_notify.alter_channel('shop', total_timeout => '2 seconds', max_in_flight => 5)");
			$node->insert('postgres', 40, first => $n + 1);
			$n += 40;
			# half-open is as long as the probe is on the wire
			$node->poll_query_until('postgres', "SELECT bool_or(breaker = 'open') FROM line_notify.stats") or die 'the breaker does not open';
			sql("SELECT line_notify.alter_channel('shop', total_timeout => '10 minutes')");
			return "ref $n";
		},
		end => sub { $sim->clear_script; $sim->end_connections('close'); sql("SELECT line_notify.alter_channel('shop', max_in_flight => 400); SELECT line_notify.resume('shop')") },
	},
	{
		reason => 'waiting for answers', bound => 5,
		begin => sub {
			$sim->script({ match => { path => 'send' }, do => 'hold' });
			$node->insert('postgres', 500, first => $n + 1);
			$n += 500;
			return "ref $n";
		},
		end => sub { $sim->clear_script },
		slack => 60,
	},
	{
		reason => 'max_in_flight reached', bound => 5,
		begin => sub {
			sql("SELECT line_notify.alter_channel('shop', max_in_flight => 1)");
			$sim->script({ match => { path => 'send' }, do => 'hold' });
			put();
			return put();
		},
		end => sub { $sim->clear_script },
		slack => 60,
		after => sub { sql("SELECT line_notify.alter_channel('shop', max_in_flight => 400)") },
	},
	{
		reason => 'rate limit', bound => 5,
		begin => sub {
			sql("SELECT line_notify.alter_channel('shop', rate_limit => 1)");
			$node->insert('postgres', 300, first => $n + 1);
			$n += 300;
			return "ref $n";
		},
		end => sub { sql("SELECT line_notify.alter_channel('shop', rate_limit => 2000)") },
	},
	{
		reason => 'not due yet', bound => 2, drain => 1,
		begin => sub { return put(set => { send_after => "now() + interval '1 hour'" }) },
		end => sub { sql("SELECT line_notify.reschedule(reference => 'ref $n', send_after => now())") },
	},
	{
		# the standby that has to know is away
		reason => 'not known to standbys yet', bound => 2, drain => 1,
		begin => sub {
			my $ref = put(set => { send_after => "now() + interval '1 hour'" });
			sql("INSERT INTO line_notify.unblock (channel, id, due_at, standbys, lsn, seen_at) SELECT o.channel, o.id, now(), '{slot away}', pg_current_wal_insert_lsn(), now() FROM line_notify.outbox o WHERE o.reference = '$ref'; SELECT line_notify._rescan()");
			return $ref;
		},
		end => sub { sql("UPDATE line_notify.unblock SET seen_at = seen_at - interval '1 day'") },
	},
	{
		reason => 'behind another message of its order_key', bound => 2, drain => 1,
		begin => sub { put(set => { order_key => "'k'", send_after => "now() + interval '1 hour'" }); return put(set => { order_key => "'k'" }); },
		end => sub { sql("SELECT line_notify.cancel(reference => 'ref @{[ $n - 1 ]}')") },
	},
	{
		reason => 'in doubt after a promotion', bound => 5, drain => 1,
		begin => sub {
			sql("SELECT line_notify.pause('shop')");
			my $ref = put();
			sql("UPDATE line_notify.identity SET in_doubt_before = now(), in_doubt_until = now() + interval '1 hour'; SELECT line_notify.resume('shop')");
			return $ref;
		},
		health => [ 'warning', 'promotion', 'may have been sent by the former primary', 'on_promotion' ],
		end => sub { sql("UPDATE line_notify.identity SET in_doubt_before = NULL, in_doubt_until = NULL") },
	},
	{
		reason => 'locked by a session', bound => 32, drain => 1,
		begin => sub {
			sql("SELECT line_notify.pause('shop')");
			my $ref = put();
			$session = session("BEGIN; SELECT id FROM line_notify.outbox WHERE reference = '$ref' FOR UPDATE");
			sql("SELECT line_notify.resume('shop')");
			return $ref;
		},
		end => sub { finish($session) },
	},
	{
		reason => 'waiting for a lock', bound => 12,
		begin => sub { $session = session('BEGIN; LOCK TABLE line_notify.in_flight IN EXCLUSIVE MODE'); return; },
		health => [ 'warning', 'worker', 'waiting for a lock', 'pg_locks' ],
		end => sub { finish($session) },
	},
	{
		reason => 'claim failed', bound => 15,
		begin => sub {
			sql(q{CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;
				CREATE TRIGGER full_disk BEFORE INSERT ON line_notify.in_flight FOR EACH ROW EXECUTE FUNCTION full_disk()});
			return;
		},
		health => [ 'error', 'channel shop', 'claim failed', 'server log' ],
		end => sub { sql('DROP TRIGGER full_disk ON line_notify.in_flight; DROP FUNCTION full_disk()') },
	},
	{
		reason => 'quarantine', bound => 5,
		begin => sub {
			sql(q{CREATE FUNCTION bad_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'bad row' USING ERRCODE = '23514'; END $$;
				CREATE TRIGGER bad_row BEFORE INSERT ON line_notify.in_flight FOR EACH ROW EXECUTE FUNCTION bad_row()});
			return;
		},
		end => sub { sql("DROP TRIGGER bad_row ON line_notify.in_flight; DROP FUNCTION bad_row(); SELECT line_notify.reschedule(reference => 'ref $n', send_after => now())") },
	},
	{
		reason => 'recording failed', bound => 15,
		begin => sub {
			sql(q{CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$;
				CREATE TRIGGER full_disk BEFORE INSERT ON line_notify.history FOR EACH ROW EXECUTE FUNCTION full_disk()});
			$node->insert('postgres', 600, first => $n + 1);
			$n += 600;
			return "ref $n";
		},
		health => [ 'error', 'channel shop', 'recording failed', 'server log' ],
		end => sub { sql('DROP TRIGGER full_disk ON line_notify.history; DROP FUNCTION full_disk()') },
	},
	{
		# for five seconds, then the worker does not respond: who looks too late tries again
		reason => 'due', bound => 2,
		begin => sub {
			my ($ref, $said);
			$sim->wait_until(sub {
				$worker = $node->worker_pid('postgres');
				kill 'STOP', $worker;
				$ref = put();
				$said = reason_of($ref);
				return 1 if $said eq 'due';
				kill 'CONT', $worker;
				$node->poll_query_until('postgres', "SELECT state = 'accepted' FROM line_notify.notifications WHERE reference = '$ref'") or die;
				return 0;
			});
			is($said, 'due', 'worker: due: waiting_reason says it');
			return $ref;
		},
		seen_by_itself => 1,
		end => sub { kill 'CONT', $worker },
	},
	{
		reason => 'worker not responding', bound => 2,
		begin => sub { my $pid = $node->worker_pid('postgres'); kill 'STOP', $pid; $worker = $pid; return put(); },
		health => [ 'error', 'worker', 'worker not responding', 'pg_terminate_backend' ],
		end => sub { kill 'CONT', $worker },
	},
	{
		reason => 'disabled', bound => 2, drain => 0,
		begin => sub { conf('line_notify.enabled = off'); return; },
		health => [ 'error', 'server', 'switched off', 'line_notify.enabled' ],
		end => sub { conf('line_notify.enabled = on') },
	},
	{
		reason => 'disarmed', bound => 2, drain => 1,
		begin => sub { conf("line_notify.node = 'elsewhere'"); sql("SELECT line_notify.resume('shop')"); return; },
		health => [ 'error', 'channel shop', 'disarmed', 'line_notify.arm' ],
		end => sub { conf("line_notify.node = 'test'"); sql("SELECT line_notify.resume('shop')") },
	},
	{
		reason => 'version mismatch', bound => 5, drain => 0,
		begin => sub { sql("UPDATE pg_extension SET extversion = '9.9' WHERE extname = 'line_notify'; SELECT line_notify._wake()"); return; },
		health => [ 'error', 'worker', 'versions do not match', 'ALTER EXTENSION' ],
		end => sub { sql("UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'line_notify'; SELECT line_notify._wake()") },
	},
	{
		# in vain, since we are connected: the server waits five seconds for us
		reason => 'worker held', bound => 10,
		begin => sub {
			sql("SELECT line_notify.pause('shop')");
			my $ref = put();
			my $inside = $node->background_psql('postgres');
			# each time for five seconds
			$sim->wait_until(sub {
				my $out = '';
				my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('template1'), '-c', 'CREATE DATABASE copy TEMPLATE postgres' ], '>', \$out, '2>&1');
				until ($out =~ /being accessed/)
				{
					my $said = $inside->query_safe("SELECT waiting_reason FROM line_notify.notifications WHERE reference = '$ref'");
					my $health = $inside->query_safe("SELECT count(*) FROM line_notify.health() WHERE severity = 'warning' AND subject = 'worker' AND reason ~ 'stepped aside' AND hint ~ 'comes back'");
					$seen{$said} = 1;
					$seen_held = 1 if $said eq 'worker held' && $health;
					$run->pump_nb;
					last if !$run->pumpable;
				}
				$run->finish;
				return $seen_held;
			});
			$inside->quit;
			ok($seen_held, 'worker: worker held: waiting_reason and health() say it');
			return $ref;
		},
		seen_by_itself => 1,
		end => sub { sql("SELECT line_notify.resume('shop')") },
	},
	{
		# for five seconds, too
		reason => 'no launcher', bound => 30,
		begin => sub { sql("SELECT line_notify.pause('shop')"); return put(); },
		again => sub { kill 'TERM', split /\n/, sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify launcher'") },
		health => [ 'error', 'server', 'launcher is not running', 'restarts by itself' ],
		end => sub { sql("SELECT line_notify.resume('shop')") },
	},
);

sub reason_of { my ($ref) = @_; return sql("SELECT waiting_reason FROM line_notify.notifications WHERE reference = '$ref'"); }

sub poll
{
	my ($seconds, $query, $again) = @_;
	my $deadline = Time::HiRes::time() + $seconds;
	while (Time::HiRes::time() < $deadline)
	{
		$again->() if $again;
		return 1 if sql($query) eq 't';
		select(undef, undef, undef, 0.05);
	}
	return 0;
}

sub try_case
{
	my ($c, $mode) = @_;
	my $name = "$mode: $c->{reason}" . ($c->{what} ? " ($c->{what})" : '');
	my $ref = $c->{begin}->() // put();
	my $drained = sub {
		return 1 if $mode eq 'worker';
		my ($out, $err);
		$node->psql('postgres', "CALL line_notify.drain('30 s')", stdout => \$out, stderr => \$err);
		return $out;
	};
	if ($mode eq 'drain')
	{
		# what is blocked or not due is none of its business
		like($drained->(), qr/^0\|/, "$name: drain() comes back, and sent nothing");
	}
	my $said = $c->{seen_by_itself} || poll(40, "SELECT count(*) = 1 FROM line_notify.notifications WHERE reference = '$ref' AND waiting_reason = '$c->{reason}'", $c->{again});
	ok($said, "$name: waiting_reason says it") or diag(reason_of($ref), sql('SELECT * FROM line_notify.health()'));
	$seen{ $c->{reason} } = 1 if $said;
	if ($c->{health})
	{
		my ($severity, $subject, $reason, $hint) = @{ $c->{health} };
		ok( poll(20, "SELECT count(*) > 0 FROM line_notify.health() WHERE severity = '$severity' AND subject = '$subject' AND reason ~ '$reason' AND coalesce(hint, '') ~ '$hint'", $c->{again}),
			"$name: health() says it and what to do")
		  or diag(sql('SELECT * FROM line_notify.health()'));
	}
	$c->{end}->();
	if ($mode eq 'drain')
	{
		like($drained->(), qr/^[1-9]\d*\|0/, "$name: then drain() sends it") or diag(reason_of($ref));
	}
	ok( poll($c->{bound} + ($c->{slack} // 20), "SELECT count(*) = 1 FROM line_notify.notifications WHERE reference = '$ref' AND state = 'accepted'"),
		"$name: then it goes")
	  or diag(sql("SELECT state, waiting_reason, waiting_until, now(), error FROM line_notify.notifications WHERE reference = '$ref'"), sql('SELECT * FROM line_notify.health()'));
	$c->{after}->() if $c->{after};
	sql("SELECT line_notify.cancel(from_time => '-infinity')");
	return;
}

# what the simulator holds does not end by itself
my @channel = (channel => "backoff_base => '1 s', backoff_cap => '1 s', total_timeout => '10 minutes'");
$node = LineNotify::Node->new('worker', init => [ allows_streaming => 1 ]);
$node->install('postgres', $sim, @channel);
try_case($_, 'worker') for @cases;
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.health() WHERE severity = 'error'"), 'no error is left over')
  or diag(sql('SELECT * FROM line_notify.health()'));

# ---- what needs another server: slots, a database of its own, a standby
sub says
{
	my ($on, $db, $ref, $reason, $health) = @_;
	my $ok = $on->poll_query_until($db, "SELECT count(*) = 1 FROM line_notify.notifications WHERE reference = '$ref' AND waiting_reason = '$reason'");
	ok($ok, "$reason: waiting_reason says it") or diag($on->safe_psql($db, "SELECT waiting_reason FROM line_notify.notifications WHERE reference = '$ref'; SELECT * FROM line_notify.health()"));
	$seen{$reason} = 1 if $ok;
	ok($on->poll_query_until($db, "SELECT count(*) > 0 FROM line_notify.health() WHERE concat_ws(' | ', severity, subject, reason, hint) ~ '$health'"), "$reason: health() says it")
	  or diag($on->safe_psql($db, 'SELECT * FROM line_notify.health()'));
	return;
}

# a channel that is gone
sql("INSERT INTO line_notify.outbox (id, channel, recipient, template_key, expires_at, state, due_at, home, created_at, reference)
	SELECT 900000, 'gone', repeat('a', 64), 't', '2100-01-01', 'queued', now(), c.home, now(), 'orphan' FROM line_notify.channel c");
says($node, 'postgres', 'orphan', 'no such channel', 'error . channel gone . .*does not exist');
is(sql("SELECT cancelled FROM line_notify.cancel(ids => '{900000}')"), 1, 'no such channel: it can be ended');

# the worker of a new database, while the launcher hangs
my $launcher = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'line_notify launcher'");
$node->safe_psql('postgres', 'CREATE DATABASE fresh');
kill 'STOP', $launcher;
$node->install('fresh', $sim);
$node->insert('fresh', 1, first => 1);
my $starting = $node->poll_query_until('fresh', "SELECT count(*) = 1 FROM line_notify.notifications WHERE waiting_reason = 'worker starting'");
ok($starting, 'worker starting: waiting_reason says it') or diag($node->safe_psql('fresh', 'SELECT waiting_reason FROM line_notify.notifications'));
$seen{'worker starting'} = 1 if $starting;
kill 'CONT', $launcher;
$node->wait_states('fresh', accepted => 1);
pass('worker starting: then it goes');

# a synchronous standby that is away
my $standby = $node->standby('standby');
conf("synchronous_standby_names = 'standby'");
my $ref = put();
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.notifications WHERE reference = '$ref' AND state = 'accepted'") or die;
$node->wait_for_catchup($standby);
my $later = put(set => { send_after => "now() + interval '1 hour'" });
$node->wait_for_catchup($standby);
says($standby, 'postgres', $later, 'standby', 'info . server . this server is a standby');
my $receiver = $standby->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walreceiver'");
kill 'STOP', $receiver;
$ref = "ref @{[ ++$n ]}";
my $s = session("SET synchronous_commit = local; " . $node->insert_sql(1, first => $n));
says($node, 'postgres', $ref, 'waiting for a synchronous standby', 'error . worker . waiting for a synchronous standby');
is($node->safe_psql('postgres', "SELECT count(*) FROM line_notify.notifications WHERE reference = '$ref' AND state = 'accepted'"), 0, 'nothing is sent');
conf("synchronous_standby_names = ''");
finish($s);
# a claim that had waited goes; had it been another transaction of the worker that
# waited, the standby has to know first that claims wait no more (121_lost_tail)
kill 'CONT', $receiver;
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.notifications WHERE reference = '$ref' AND state = 'accepted'"), 'waiting for a synchronous standby: then it goes')
  or diag($node->safe_psql('postgres', 'SELECT * FROM line_notify.health()'));
$standby->stop('immediate');
$node->stop;

# a worker that cannot live, and slots
my $small = LineNotify::Node->new('small', max_worker_processes => 4, 'line_notify.max_databases' => 3);
$small->safe_psql('postgres', "CREATE DATABASE $_") for qw(a b c d);
# two workers have something on the wire
$sim->reset;
$sim->script({ match => { path => 'send' }, do => ['stall'] });
for my $db (qw(a b)) { $small->install($db, $sim, @channel); $small->insert($db, 1, first => $db eq 'a' ? 501 : 502); $small->worker_pid($db); }
$sim->wait_requests(2) or die;
$small->install('c', $sim);
$small->insert('c', 1, first => 1);
says($small, 'c', 'ref 1', 'no worker slot', 'error . worker . no free background worker slot.*max_worker_processes');
$small->install('d', $sim);
$small->insert('d', 1, first => 2);
says($small, 'd', 'ref 2', 'no database slot', 'error . worker . there is no place for this database.*max_databases');
$sim->clear_script;
$sim->end_connections('close');
$small->wait_states('c', accepted => 1);
pass('no worker slot: then it goes, when the others have nothing to do');
$small->safe_psql('a', 'DROP EXTENSION line_notify');
# a worker that cannot live: it may not make its journal file
my $stat = $small->data_dir . '/pg_stat_tmp';
chmod 0500, $stat;
$small->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'c'");
$small->insert('c', 1, first => 3);
says($small, 'c', 'ref 3', 'worker failed', 'warning . worker . the worker stopped with an error.*server log');
chmod 0700, $stat;
ok($small->poll_query_until('c', "SELECT count(*) = 1 FROM line_notify.notifications WHERE reference = 'ref 3' AND state = 'accepted'"), 'worker failed: then it goes');

# a database that is closed for maintenance, and opened again: also when nobody
# inserts anything afterwards
for my $how ([ 'ALLOW_CONNECTIONS false', 'ALLOW_CONNECTIONS true' ], [ 'IS_TEMPLATE true', 'IS_TEMPLATE false' ])
{
	my $inside = $small->background_psql('c');
	my $id = 10 + ++$n;
	$small->safe_psql('postgres', "ALTER DATABASE c $how->[0]");
	$small->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'line_notify worker' AND datname = 'c'");
	$inside->query_safe($small->insert_sql(1, first => $id));
	my $said = '';
	$sim->wait_until(sub {
		$said = $inside->query_safe("SELECT waiting_reason FROM line_notify.notifications WHERE reference = 'ref $id'");
		return $said eq 'database closed';
	});
	is($said, 'database closed', "$how->[0]: waiting_reason says it");
	$seen{$said} = 1;
	like($inside->query_safe("SELECT concat_ws(' | ', severity, subject, reason, hint) FROM line_notify.health() WHERE reason ~ 'database closed'"),
		qr/error . worker . .*ALLOW_CONNECTIONS true/, "$how->[0]: health() says it");
	$inside->quit;
	$small->safe_psql('postgres', "ALTER DATABASE c $how->[1]");
	ok($small->poll_query_until('c', "SELECT count(*) = 1 FROM line_notify.notifications WHERE reference = 'ref $id' AND state = 'accepted'"), "$how->[1]: then it goes, untold");
}
$small->stop;

# ---- without preload: drain()
$node = LineNotify::Node->new('bare', shared_preload_libraries => '');
$node->install('postgres', $sim, @channel);
$ref = put();
says($node, 'postgres', $ref, 'not preloaded', 'error . server . line_notify is not in shared_preload_libraries.*drain');
like($node->safe_psql('postgres', "CALL line_notify.drain('30 s')"), qr/^1\|0/, 'not preloaded: drain() sends it');
try_case($_, 'drain') for grep { $_->{drain} } @cases;
$node->stop;

# ---- none is forgotten
$node = LineNotify::Node->new('list');
$node->safe_psql('postgres', 'CREATE EXTENSION line_notify');
my @all = split /\n/, sql('SELECT reason FROM line_notify.waiting_reasons');
cmp_ok(scalar(@all), '>=', 30, 'the view has the reasons');
is(join(', ', grep { !$seen{$_} } @all), '', 'every reason was seen');
is(sql("SELECT count(*) FROM line_notify.waiting_reasons WHERE meaning_en = '' OR meaning_ja = '' OR what_ends_it = ''"), 0, 'each is explained');
is(sql("SELECT count(*) FROM line_notify.waiting_reasons WHERE reason = 'in line'"), 0, 'none is called "in line"');
$node->stop;
$sim->stop;
done_testing();
