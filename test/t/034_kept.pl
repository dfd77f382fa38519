# A trigger of the owner that keeps a row, and says nothing (RETURN NEW in a
# BEFORE DELETE trigger does): nothing is sent again, nothing is lost, the
# channel goes on, health() says so.  TAP: a worker.

use strict;
use warnings;

use Test::More;
use LineNotify::Node (untraced => 'what a trigger keeps is not where the model has it');
use LineNotify::Sim;

my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main');
$node->install('postgres', $sim);
my $aside = sub { $node->poll_query_until('postgres', "SELECT count(*) = $_[0] FROM line_notify.set_aside") };
my $accepted = sub { $node->poll_query_until('postgres', "SELECT count(*) = $_[0] FROM line_notify.history WHERE state = 'accepted' AND reference ~ '$_[1]'") };
my $health = sub { $node->health('postgres', "reason ~ 'cannot be recorded'") };
my $worker_again = sub {
	my $pid = $node->worker_pid('postgres');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM line_notify.workers WHERE database = 'postgres' AND pid <> $pid");
};

$node->safe_psql('postgres', q{
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION keep_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RETURN CASE WHEN EXISTS (SELECT FROM line_notify.outbox o WHERE o.id = OLD.id AND o.reference ~ TG_ARGV[0]) THEN NULL ELSE OLD END; END $$;
CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$});

my $at = 0;
for my $o (
	[ 'a DELETE on outbox', q{BEFORE DELETE ON line_notify.outbox FOR EACH ROW WHEN (OLD.reference ~ '%s') EXECUTE FUNCTION keep()} ],
	[ 'an INSERT on history', q{BEFORE INSERT ON line_notify.history FOR EACH ROW WHEN (NEW.reference ~ '%s') EXECUTE FUNCTION keep()} ],
	[ 'a DELETE on in_flight', q{BEFORE DELETE ON line_notify.in_flight FOR EACH ROW EXECUTE FUNCTION keep_lease('%s')} ],
	[ 'a DELETE on outbox that raises', q{BEFORE DELETE ON line_notify.outbox FOR EACH ROW WHEN (OLD.reference ~ '%s') EXECUTE FUNCTION raise()} ])
{
	my ($name, $trigger) = @$o;
	$trigger =~ s/%s/@{[ $at + 2 ]}\$/;
	my ($range, $table) = (join('|', $at + 1 .. $at + 4), $trigger =~ /ON (\S+)/);
	$node->safe_psql('postgres', "CREATE TRIGGER keep $trigger");
	$node->insert('postgres', 4, first => $at + 1, set => { order_key => "'of ' || i" });
	ok($accepted->(3, "^ref ($range)\$"), "$name: the others are recorded");
	ok($aside->(1), "$name: the one goes aside");
	is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM line_notify.outbox), (SELECT count(*) FROM line_notify.in_flight)'), '0|0', "$name: and is nowhere else");
	like($health->(), qr/^error\|[^|]*\|1 outcomes cannot be recorded/, "$name: health() says so");
	# a worker that knows of nothing, and looks for what is due
	$worker_again->() or die 'no worker';
	$node->insert('postgres', 1, first => $at + 9, set => { order_key => "'of ' || " . ($at + 2) });
	ok($node->poll_query_until('postgres', "SELECT count(*) = 2 FROM line_notify.notifications WHERE order_key = 'of @{[ $at + 2 ]}' AND state = 'accepted'"), "$name: what waits behind it is sent");
	$node->safe_psql('postgres', "DROP TRIGGER keep ON $table; SELECT line_notify.record_set_aside()");
	ok($aside->(0), "$name: gone, it is recorded");
	ok($accepted->(4, "^ref ($range)\$"), "$name: as the others");
	is($sim->summary->{recipients}{received_twice}, 0, "$name: nothing was sent twice");
	$at += 20;
}

# what is to be sent again later does not go at once, nor without an end
$node->install('postgres', $sim, name => 'again', channel => "on_server_error => 'retry', settle_window => '1 hour', max_attempts => 2");
$node->safe_psql('postgres', q{
CREATE FUNCTION keep_old() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON line_notify.outbox FOR EACH ROW EXECUTE FUNCTION keep_old()});
$sim->reset;
$sim->script({ match => { path => 'send' }, answer => 500 });
$node->insert('postgres', 1, first => 900, set => { channel => "'again'" });
ok($aside->(1), 'an UPDATE on outbox that changes nothing: what returns to the queue goes aside');
$worker_again->() or die 'no worker';
is($sim->summary->{requests}, 1, 'and is not sent again');
$node->safe_psql('postgres', 'DROP TRIGGER keep ON line_notify.outbox; SELECT line_notify.record_set_aside()');
ok($aside->(0), 'gone, it returns');
is($node->safe_psql('postgres', q{SELECT attempts, due_at > now() + interval '30 minutes' FROM line_notify.outbox WHERE channel = 'again'}), '1|t', 'and waits for its time');

# what cannot be claimed, or waits for another, or may not be sent, is not claimed
# again and again: it goes into quarantine, and the others go
$node->install('postgres', $sim, name => 'third');
my $first = 940;
for my $o (
	[ 'a row that cannot be claimed', q{CREATE FUNCTION raise_one() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN IF (SELECT o.reference = 'ref 942' FROM line_notify.outbox o WHERE o.id = NEW.id) THEN RAISE 'no'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER no BEFORE INSERT ON line_notify.in_flight FOR EACH ROW EXECUTE FUNCTION raise_one()}, {}, 'keep_old' ],
	[ 'a row that waits for another', '', { order_key => q{CASE WHEN i IN (951, 952) THEN 'a' END} }, 'keep_old' ],
	[ 'a row whose recipient has objected meanwhile', q{SELECT line_notify.pause('third', 'stocktaking')}, {}, 'keep' ])
{
	my ($name, $more, $set, $function) = @$o;
	my $one = $first + 2;
	$sim->reset;
	$sim->script({ match => { path => 'send' }, do => 'hold' }) if %$set;
	$node->safe_psql('postgres', qq{$more; CREATE TRIGGER keep BEFORE UPDATE ON line_notify.outbox FOR EACH ROW WHEN (OLD.reference = 'ref $one') EXECUTE FUNCTION $function()});
	$node->insert('postgres', 6, first => $first + 1, set => { channel => "'third'", %$set });
	$node->safe_psql('postgres', "INSERT INTO line_notify.suppression (recipient) SELECT o.recipient FROM line_notify.outbox o WHERE o.reference = 'ref $one'; SELECT line_notify.resume('third')")
	  if $function eq 'keep';
	$sim->wait_requests(5) or die;
	$sim->clear_script;
	ok($accepted->(5, "^ref " . int($first / 10)), "$name, and an UPDATE that changes nothing: the others go")
	  or diag($node->safe_psql('postgres', 'SELECT * FROM line_notify.notifications WHERE state = $$queued$$; SELECT * FROM line_notify.health()'));
	ok($node->poll_query_until('postgres', "SELECT waiting_reason = 'quarantine' FROM line_notify.notifications WHERE reference = 'ref $one'"), "$name: it is in quarantine")
	  or diag($node->safe_psql('postgres', 'SELECT * FROM line_notify.notifications WHERE state = $$queued$$; SELECT * FROM line_notify.health()'));
	like($node->health('postgres', "reason ~ 'quarantine'"), qr/no|a trigger on line_notify.outbox keeps/, "$name: health() says so");
	$node->safe_psql('postgres', 'DROP TRIGGER keep ON line_notify.outbox; DROP TRIGGER IF EXISTS no ON line_notify.in_flight; SELECT line_notify.reschedule(send_after => now(), ids => ARRAY(SELECT id FROM line_notify.outbox))');
	ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM line_notify.outbox WHERE channel = 'third'"), "$name: gone, it goes");
	$first += 10;
}

# what was blocked goes when it may, whatever keeps one of them as it was
$node->safe_psql('postgres', q{CREATE TRIGGER keep BEFORE UPDATE ON line_notify.outbox FOR EACH ROW
	WHEN (OLD.due_at = 'infinity' AND OLD.reference IN ('ref 972', 'ref 982', 'ref 1601')) EXECUTE FUNCTION keep_old()});
$sim->reset;
$sim->script({ match => { path => 'send' }, do => 'hold' });
$node->insert('postgres', 3, first => 971, set => { channel => "'third'", order_key => "'b'" });
ok($node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM line_notify.outbox WHERE due_at = 'infinity'}), 'two wait for another');
$sim->clear_script;
ok($accepted->(3, '^ref 97'), 'they go after it, though a trigger keeps one blocked');
$node->safe_psql('postgres', q{SELECT line_notify.pause('third', template_key => 'shipment_completed_ja')});
$node->insert('postgres', 600, first => 980, set => { channel => "'third'" });
ok($node->poll_query_until('postgres', q{SELECT count(*) = 600 FROM line_notify.outbox WHERE due_at = 'infinity'}), 'many wait for their template');
my $session = $node->background_psql('postgres');
$session->query_safe(q{BEGIN; SELECT FROM line_notify.outbox WHERE reference = 'ref 990' FOR UPDATE});
$node->safe_psql('postgres', q{SELECT line_notify.resume('third', template_key => 'shipment_completed_ja')});
ok($node->poll_query_until('postgres', q{SELECT array_agg(reference) = '{ref 990}' FROM line_notify.outbox}), 'they go when it is resumed')
  or diag($node->safe_psql('postgres', 'SELECT count(*), min(reference), due_at FROM line_notify.outbox GROUP BY 3'));
$session->query_safe('COMMIT');
$session->quit;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM line_notify.outbox}), 'one that a session had locked, too')
  or diag($node->safe_psql('postgres', 'SELECT * FROM line_notify.notifications WHERE state = $$queued$$; SELECT * FROM line_notify.unblock'));

# and not before the time that somebody gave it
$node->safe_psql('postgres', q{SELECT line_notify.pause('third', template_key => 'shipment_completed_ja')});
$node->insert('postgres', 1, first => 1601, set => { channel => "'third'" });
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM line_notify.outbox WHERE due_at = 'infinity'}), 'one is blocked');
$node->safe_psql('postgres', q{INSERT INTO line_notify.unblock (channel, id, due_at, standbys)
	SELECT o.channel, o.id, now() + interval '1 hour', '{}' FROM line_notify.outbox o; SELECT line_notify._wake()});
ok($node->poll_query_until('postgres', q{SELECT due_at BETWEEN now() + interval '50 minutes' AND now() + interval '70 minutes' FROM line_notify.outbox}), 'it is let go to its time')
  or diag($node->safe_psql('postgres', 'SELECT now(), due_at FROM line_notify.outbox; SELECT * FROM line_notify.unblock'));

$node->stop;
$sim->stop;
done_testing();
