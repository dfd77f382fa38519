# The files in monitoring/ with the programs they are for: Debian's
# prometheus-postgres-exporter, connected as a role with pg_monitor only, exports
# every metric of queries.yaml with the right value; promtool takes it, the alert
# rules, and their tests; every query of the dashboard and of the rules names
# metrics and labels that exist, and takes rates of counters only.  TAP: processes.

use strict;
use warnings;

use HTTP::Tiny;
use IPC::Run;
use JSON::PP ();
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my ($exporter) = grep { -x } map { "$_/prometheus-postgres-exporter" } split /:/, $ENV{PATH};
my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};
my $dir = "$ENV{LN_SRC}/monitoring";

# ---- queries.yaml, of which this needs one level: query => { metric => usage }
my (%usage, %labels, $query);
for my $line (split /\n/, slurp_file("$dir/queries.yaml"))
{
	$query = $1 if $line =~ /^(\w+):$/;
	next unless $line =~ /^    - (\w+): \{usage: (\w+), description: .+\}$/;
	if ($2 eq 'LABEL') { $labels{$query}{$1} = 1 }
	elsif ($2 eq 'HISTOGRAM')
	{
		$usage{"${query}_$1_$_"} = [ 'COUNTER', $query, "${query}_$1" ] for qw(bucket sum count);
	}
	else { $usage{"${query}_$1"} = [ $2, $query ] }
}
cmp_ok(scalar keys %usage, '>', 20, 'queries.yaml has metrics');

# ---- what the rules and the dashboard ask for
my $grafana = JSON::PP->new->decode(slurp_file("$dir/grafana.json"));
my @asked = map { [ $_->[0], @{$_->[1]}{qw(expr legendFormat)} ] }
  map { my $p = $_; map { [ $p->{title}, $_ ] } @{ $p->{targets} } } @{ $grafana->{panels} };
my $rules = slurp_file("$dir/alerts.yaml");
push @asked, [ $1, $2, $3 ] while $rules =~ /- alert: (\w+)\n\s+expr: ((?:>-\n(?:          [^\n]*\n)+)|[^\n]*\n)(.*?)(?=- alert:|\z)/gs;
is(scalar(() = $rules =~ /- alert:/g), scalar(grep { defined $_->[2] && $_->[2] =~ /annotations/ } @asked), 'each of the rules is looked at');
my $tested = slurp_file("$ENV{LN_SRC}/test/monitoring/alerts_test.yaml");
for my $alert ($rules =~ /- alert: (\w+)/g)
{
	like($tested, qr/eval_time: \S+, alertname: $alert\}/, "$alert has a case in which it is silent");
	like($tested, qr/alertname: $alert\n\s+exp_alerts:\n\s+- exp_labels/, 'and one in which it fires');
}
my $outages = slurp_file("$ENV{LN_SRC}/test/t/304_outage.pl");
like($tested, qr/outage: \Q$_\E\n/, "an outage by $_ rings") for $outages =~ /^\t*\{ name => '([^']+)'/gm;
cmp_ok(scalar @asked, '>', 15, 'the dashboard and the rules ask for something');
for my $asked (@asked)
{
	my ($title, $expr, $text) = @$asked;
	my @wrong;
	my %has;
	while ($expr =~ /((?:rate|increase)\(\s*)?\b(line_notify_\w+)(\{[^}]*\})?/g)
	{
		my ($rate, $name, $match) = ($1, $2, $3 // '');
		my $metric = $usage{$name};
		if (!$metric) { push @wrong, "no metric $name"; next }
		push @wrong, "$name is a $metric->[0]" if !!$rate ne ($metric->[0] eq 'COUNTER');
		%has = (%has, %{ $labels{$metric->[1]} }, $name =~ /_bucket$/ ? (le => 1) : ());
		push @wrong, map { "no label $_" } grep { !$has{$_} } $match =~ /(\w+)\s*(?:=|!=|=~|!~)"/g;
	}
	push @wrong, 'no metric' if !%has;
	push @wrong, map { "no label $_" } grep { !$has{$_} } $text =~ /\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g;
	is(join(', ', @wrong), '', "$title: $expr");
}
my %panel_ids = map { $_->{id} => 1 } @{ $grafana->{panels} };
is(scalar keys %panel_ids, scalar @{ $grafana->{panels} }, 'the panels have different ids');

SKIP:
{
	skip 'package prometheus (promtool) is not installed', 2 if !$promtool;
	command_ok([ $promtool, 'check', 'rules', "$dir/alerts.yaml" ], 'promtool check rules');
	command_ok([ $promtool, 'test', 'rules', "$ENV{LN_SRC}/test/monitoring/alerts_test.yaml" ], 'promtool test rules');
}

SKIP:
{
	skip 'package prometheus-postgres-exporter is not installed', 1 if !$exporter;

	my $sim = LineNotify::Sim->start;
	my $node = LineNotify::Node->new('main');
	$node->install('postgres', $sim);
	$sim->set_recipients('+819010000002' => 'unreachable');
	$sim->script({ match => { path => 'send' }, answer => 500, times => 1 });
	$node->insert('postgres', 1, first => 1);
	$node->wait_states('postgres', unknown => 1);
	$node->insert('postgres', 5, first => 2);
	$node->wait_states('postgres', accepted => 4, unreachable => 1, unknown => 1);
	$node->safe_psql('postgres', q{
CREATE ROLE prometheus LOGIN IN ROLE pg_monitor;
SELECT line_notify.pause('shop');
ANALYZE line_notify.outbox;});
	$node->insert('postgres', 7, first => 20);
	$node->safe_psql('postgres', 'ANALYZE line_notify.outbox');
	$node->poll_query_until('postgres', q{SELECT n_live_tup = 7 FROM pg_stat_user_tables WHERE relid = 'line_notify.outbox'::regclass}) or die;
	# older times, and an event that the worker has not been told of
	$node->safe_psql('postgres', q{
INSERT INTO line_notify.minute_count (channel, minute, accepted, delivered) VALUES ('shop', now() - interval '30 minutes', 30, 20);
INSERT INTO line_notify.webhook_event (channel, event_id, type, event_at) VALUES ('shop', 'x', 'delivery', now());
ALTER TABLE line_notify.history DISABLE TRIGGER USER;
UPDATE line_notify.history SET ended_at = now() - interval '32 days' WHERE id = (SELECT min(id) FROM line_notify.history);
ALTER TABLE line_notify.history ENABLE TRIGGER USER;});
	$node->install('postgres', $sim, name => 'new');
	my $health = $node->safe_psql('postgres', q{SELECT count(*) FROM line_notify.health() WHERE severity = 'error'});
	cmp_ok($health, '>', 0, 'health() has something to say');

	local $ENV{DATA_SOURCE_NAME} = 'user=prometheus dbname=postgres sslmode=disable host=' . $node->host . ' port=' . $node->port;
	my $http = HTTP::Tiny->new(timeout => 5, proxy => undef, http_proxy => undef);
	# metrics and log of an exporter, when it says what $want looks for
	my $scrape = sub {
		my ($want, @options) = @_;
		my $port = PostgreSQL::Test::Cluster::get_free_port();
		my ($log, $metrics) = ('', '');
		my $run = IPC::Run::start([ $exporter, "--web.listen-address=127.0.0.1:$port", "--extend.query-path=$dir/queries.yaml",
			'--disable-default-metrics', '--disable-settings-metrics', @options ], '<', \undef, '>', \$log, '2>', \$log);
		my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;
		while (time < $deadline)
		{
			$run->pump_nb;
			my $answer = $http->get("http://127.0.0.1:$port/metrics");
			$metrics = $answer->{content};
			last if $metrics =~ $want;
			select(undef, undef, undef, 0.1);
		}
		$run->kill_kill;
		unlike($log, qr/level=error|query .*failed/i, 'the exporter has no complaint') or diag $log;
		return $metrics;
	};
	my $metrics = $scrape->(qr/^line_notify_health_findings/m);

	my (%value, %type);
	for (split /\n/, $metrics)
	{
		if (/^# TYPE (line_notify_\w+) histogram/) { $type{"$1_$_"} = 'COUNTER' for qw(bucket sum count) }
		elsif (/^# TYPE (line_notify_\w+) (\w+)/) { $type{$1} = uc $2 }
		$value{$1}{$2} = $3 if /^(line_notify_\w+)\{(.*?)\} (\S+)$/;
	}
	for my $metric (sort keys %usage)
	{
		ok(exists $value{$metric}, "$metric is exported") or next;
		is($type{$metric}, $usage{$metric}[0], "as a " . lc $usage{$metric}[0]);
		is(scalar(grep { !/^[0-9.e+]+$/ } values %{ $value{$metric} }), 0, 'with a number');
	}
	is(scalar(grep { !$usage{$_} } keys %value), 0, 'and nothing else of ours');

	# the value of a metric whose labels contain these
	my $of = sub {
		my ($metric, %want) = @_;
		my @found = grep {
			my $has = $_;
			!grep { index($has, qq{$_="$want{$_}"}) < 0 } keys %want
		} keys %{ $value{$metric} };
		return @found == 1 ? $value{$metric}{$found[0]} + 0 : scalar(@found) . ' rows';
	};
	my %template = (channel => 'shop', endpoint => 'template', database => 'postgres');
	is($of->('line_notify_channel_sent_total', %template), 6, 'six requests');
	is($of->('line_notify_channel_accepted_total', %template), 4, 'four accepted');
	is($of->('line_notify_channel_unreachable_total', %template), 1, 'one unreachable');
	is($of->('line_notify_channel_unknown_total', %template), 1, 'one unknown');
	is($of->('line_notify_channel_server_error_total', %template), 1, 'by an error of the server');
	is($of->('line_notify_channel_refused_total', %template), 0, 'none refused');
	is($of->('line_notify_channel_in_flight', %template), 0, 'none on the wire');
	is($of->('line_notify_request_seconds_count', %template), 6, 'six answers took their time');
	is($of->('line_notify_request_seconds_bucket', %template, le => '+Inf'), 6, 'all of them less than for ever');
	my @le = sort { $a <=> $b } map { /le="([0-9.]+)"/ } grep { /"shop".*template/ } keys %{ $value{line_notify_request_seconds_bucket} };
	my @counts = map { $of->('line_notify_request_seconds_bucket', %template, le => $_) } @le;
	is(scalar(@le), 17, 'in seventeen buckets');
	is_deeply([ sort { $a <=> $b } @counts ], \@counts, 'that add up');
	my ($p50, $p99) = split /\|/, $node->safe_psql('postgres', "SELECT p50_ms / 1000, p99_ms / 1000 FROM line_notify.stats WHERE channel = 'shop' AND endpoint = 'template'");
	my ($i) = grep { $le[$_] >= $p99 } 0 .. $#le;
	is($counts[$i], 6, 'the 99th percentile of view stats lies below the bound that has them all');
	($i) = grep { $le[$_] >= $p50 } 0 .. $#le;
	cmp_ok($counts[$i], '>=', 3, 'half of them below the median');
	my ($longest) = grep { $counts[$_] == 6 } 0 .. $#le;
	my $sum = $of->('line_notify_request_seconds_sum', %template);
	ok($sum > 0 && $sum <= 6 * $le[$longest], 'and a sum, in seconds') or diag("$sum, $le[$longest]");
	is($of->('line_notify_backlog_messages', %template, reason => 'channel paused'), 7, 'seven wait for an operator');
	cmp_ok($of->('line_notify_backlog_oldest_due_age_seconds', %template, reason => 'channel paused'), '>', 0, 'and could have been sent');
	is($of->('line_notify_outcome_messages', channel => 'shop', outcome => $_->[0]), $_->[1], "$_->[1] $_->[0]") for [ accepted => 4 ], [ unreachable => 1 ], [ unknown => 1 ],
	  # delta() sees no first one, and compares with nothing that is not there
	  [ invalid => 0 ], [ expired => 0 ], [ failed => 0 ];
	is($of->('line_notify_outcome_messages', channel => 'new', outcome => $_), 0, "0 $_ in a channel that has sent nothing") for qw(accepted invalid);
	is($of->('line_notify_webhook_accepted', channel => 'shop'), 30, 'thirty were accepted before the last quarter of an hour');
	is($of->('line_notify_webhook_heard_of', channel => 'shop'), 20, 'twenty of them were heard of');
	is($of->('line_notify_webhook_events_waiting', channel => 'shop'), 1, 'an event waits');
	cmp_ok($of->('line_notify_webhook_oldest_event_age_seconds', channel => 'shop'), '>', 0, 'for some time');
	cmp_ok(abs(time - $of->('line_notify_webhook_last_heard_of_timestamp_seconds', channel => 'shop')), '<', 7200, 'somebody was heard of');
	cmp_ok(abs($of->('line_notify_retention_behind_seconds', database => 'postgres') - 86400), '<', 3600, 'a message has outlived retention and its grace by a day');
	cmp_ok(abs($of->('line_notify_channel_last_success_timestamp_seconds', %template) - time), '<', 600, 'the last success is just over');
	is($of->('line_notify_worker_running', database => 'postgres'), 1, 'the worker runs');
	is($of->('line_notify_worker_running', database => ''), 1, 'and the launcher');
	is($of->('line_notify_worker_restarts_total', database => 'postgres'), 0, 'never restarted');
	is($of->('line_notify_health_findings', database => 'postgres', severity => 'error'), $health, 'what health() says');
	like(join(' ', sort keys %{ $value{line_notify_health_findings} }), qr/"error".*"info".*"warning"/, 'of each severity');
	is($of->('line_notify_storage_rows', part => 'outbox'), 7, 'seven messages wait');
	cmp_ok($of->('line_notify_storage_bytes', part => 'history'), '>', 8191, 'history has a size');

	# several databases in one exporter: what is of the cluster comes once
	$node->safe_psql('postgres', 'CREATE DATABASE other');
	$node->install('other', $sim);
	my $both = $scrape->(qr/^line_notify_health_findings\{.*(other.*\n(.*\n)*line_notify_health_findings.*postgres|was collected before)/m,
		'--auto-discover-databases', '--include-databases=postgres,other');
	unlike($both, qr/was collected before/, '--auto-discover-databases: nothing comes twice');
	for my $database (qw(postgres other))
	{
		like($both, qr/^line_notify_health_findings\{database="$database".*severity="error"/m, "health() of $database");
		like($both, qr/^line_notify_webhook_accepted\{channel="shop",database="$database"/m, "webhooks of $database");
		like($both, qr/^line_notify_retention_behind_seconds\{database="$database"/m, "retention of $database");
	}
	is(scalar(() = $both =~ /^line_notify_channel_sent_total\{channel="shop",database="postgres",endpoint="template"/mg), 1, 'statistics once');

	SKIP:
	{
		skip 'package prometheus (promtool) is not installed', 2 if !$promtool;
		my ($in, $out) = (join("\n", grep { /line_notify_/ } split /\n/, $metrics) . "\n", '');
		my $ok = IPC::Run::run([ $promtool, 'check', 'metrics' ], '<', \$in, '>', \$out, '2>&1');
		is($out, '', 'promtool check metrics');
		ok($ok, 'is content');
	}
	$node->stop;
	$sim->stop;
}
done_testing();
