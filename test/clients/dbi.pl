# DBI, and DBIx::Class over it
use strict;
use warnings;
use DBI;

sub line { my ($check, $result, $detail) = @_; $detail = join ' ', split ' ', $detail // ''; print "$check\t$result\t$detail\n"; return }
sub check { my ($check, $good, $detail) = @_; line($check, $good ? 'ok' : 'FAIL', $detail); return }
sub shows { my ($words) = @_; $words =~ s/\D//g; return $words =~ /87654321/ }

my $db = DBI->connect('dbi:Pg:dbname=postgres', 'app', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 0 });
line('version', 'ok', $DBD::Pg::VERSION);

my $insert = $db->prepare(q{
	INSERT INTO line_notify.messages (phone, use_case, template_key, body, reference, dedup_key)
	VALUES (?, ?, ?, ?, ?, ?) RETURNING id, state});
$db->begin_work;
my ($order) = $db->selectrow_array(q{INSERT INTO orders (phone) VALUES ('090-1234-5678') RETURNING id});
my ($id, $state) = $db->selectrow_array($insert, undef, '090-1234-5678', 'parcel_delivery', 'shipment_completed_ja',
	'{"items": [{"itemKey": "number_001_ja", "content": "1234"}]}', $order, "dbi $order");
$db->commit;
check('create', $id > 0 && $state eq 'queued');

my @row = ('090-1234-5678', 'parcel_delivery', 't', undef, undef);
my ($again) = $db->selectrow_array($insert, undef, @row, "dbi $order");
check('duplicate', $again == $id);
# more often than that, the server prepares it
my @ids = map { ($db->selectrow_array($insert, undef, @row, "dbi $order $_"))[0] } qw(a b a);
check('bulk with duplicate', $ids[0] == $ids[2] && $ids[0] != $ids[1]);
my $got = $db->selectrow_hashref('SELECT * FROM line_notify.messages WHERE id = ?', undef, $id);
check('read back', $got->{state} eq 'queued' && $got->{reference} eq $order && !defined $got->{phone});
check('introspect', @{ $db->column_info(undef, 'line_notify', 'messages', undef)->fetchall_arrayref } > 20);

$db->do('COPY line_notify.messages (phone, use_case, template_key, batch) FROM STDIN');
$db->pg_putcopydata("090-1234-5678\tparcel_delivery\tt\tdbi batch\n") for 1 .. 100;
$db->pg_putcopyend;
my ($n) = $db->selectrow_array(q{SELECT count(*) FROM line_notify.messages WHERE batch = 'dbi batch' AND state = 'queued'});
check('batch', $n == 100, $n);

eval { $db->do(q{INSERT INTO line_notify.messages (phone, use_case, template_key) VALUES (?, 'reservatoin', 't')}, undef, '090-8765-4321') };
check('error', $@ =~ /unknown use case/ && $@ =~ /reservation/, $@);
line('number shown', shows($@) ? 'yes' : 'no');
eval { $db->do(q{INSERT INTO line_notify.messages (phone, priority, use_case, template_key) VALUES (?, 'high', 'reservation', 't')}, undef, '090-8765-4321') };
line('typo', shows($@) ? 'shows' : 'does not show');
line('typo hidden', shows($db->pg_error_field('message_primary')) ? 'shows' : 'does not show', shows($@) ? '`$db->pg_error_field(\'message_primary\')` instead of `$@`' : '–');

for my $try (['ON CONFLICT DO NOTHING', ''], ['ON CONFLICT (dedup_key) DO UPDATE', ' SET priority = 4'])
{
	my ($same) = eval { $db->selectrow_array("INSERT INTO line_notify.messages (phone, use_case, template_key, dedup_key)
		VALUES ('090-1234-5678', 'parcel_delivery', 't', ?) $try->[0]$try->[1] RETURNING id", undef, "dbi $order") };
	line('upsert', $@ ? $db->state : $same == $id ? 'ok' : 'FAIL', $try->[0]);
}

if (eval { require DBIx::Class::Schema; require DBIx::Class::Core; 1 })
{
	eval q{
		package Shop::Message;
		use parent -norequire, 'DBIx::Class::Core';
		__PACKAGE__->table('line_notify.messages');
		# is_auto_increment: the id is asked for by RETURNING
		__PACKAGE__->add_columns(id => { is_auto_increment => 1 }, qw(phone use_case template_key dedup_key priority), state => { retrieve_on_insert => 1 });
		__PACKAGE__->set_primary_key('id');
		__PACKAGE__->add_unique_constraint(key => ['dedup_key']);
		package Shop;
		use parent -norequire, 'DBIx::Class::Schema';
		__PACKAGE__->register_class(Message => 'Shop::Message');
		1 } or die $@;
	my $messages = Shop->connect(sub { DBI->connect('dbi:Pg:dbname=postgres', 'app', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1 }) })->resultset('Message');
	my %row = (phone => '090-1234-5678', use_case => 'parcel_delivery', template_key => 't', dedup_key => "dbi $order");
	my $one = $messages->create({%row});
	line('upsert', $one->id == $id && $one->state eq 'queued' ? 'ok' : 'FAIL', 'DBIx::Class: create()');
	line('upsert', $messages->find_or_create({%row}, { key => 'key' })->id == $id ? 'ok' : 'FAIL', 'DBIx::Class: find_or_create()');
	line('upsert', $messages->update_or_create({ dedup_key => "dbi $order", priority => 4 }, { key => 'key' })->id == $id ? 'ok' : 'FAIL', 'DBIx::Class: update_or_create()');
}

$db->do('DELETE FROM line_notify.messages WHERE id = ?', undef, $id);
check('cancel', ($db->selectrow_array('SELECT state FROM line_notify.messages WHERE id = ?', undef, $id))[0] eq 'cancelled');
