# "My order's LINE state", as doc/roles.md has it: a SECURITY DEFINER function of
# a sender under a view, read as PostgREST and Hasura read; a plain view over
# notifications says why it cannot work for its readers.
# TAP: reads the documentation; several logins.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use Test::More;
use PostgreSQL::Test::Utils;
use LineNotify::Sim;
use LineNotify::Node;

my $root = $ENV{LN_SRC} // File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my ($block) = slurp_file("$root/doc/roles.md") =~ /^### My order.*?^```sql\n(.*?)^```/ms or die 'no block of SQL';
my $sim = LineNotify::Sim->start;
my $node = LineNotify::Node->new('main', 'line_notify.enabled' => 'off');
$node->install('postgres', $sim);
sub sql { return $node->safe_psql('postgres', $_[0]); }
sub as
{
	my ($role, $sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-q', '-U', $role ]);
	return $err ne '' ? $err : $out;
}

# an application with row security for PostgREST
sql(q{CREATE ROLE shop_app LOGIN; CREATE ROLE web_user LOGIN; CREATE ROLE authenticator LOGIN NOINHERIT; GRANT web_user TO authenticator;
	CREATE SCHEMA shop AUTHORIZATION shop_app; CREATE SCHEMA api AUTHORIZATION shop_app;
	SELECT line_notify.create_channel('other', api_base => 'http://127.0.0.1:1');
	SELECT line_notify.grant_sender('shop_app', '{shop}');
	SET ROLE shop_app;
	CREATE TABLE shop.orders (order_no text PRIMARY KEY, customer text);
	ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
	CREATE POLICY mine ON shop.orders FOR SELECT TO web_user USING (customer = current_setting('request.jwt.claims', true)::jsonb ->> 'sub');
	GRANT USAGE ON SCHEMA shop, api TO web_user; GRANT SELECT ON shop.orders TO web_user;
	INSERT INTO shop.orders VALUES ('A-1', 'anna'), ('A-2', 'anna'), ('B-1', 'ben');
	INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, reference)
		SELECT 'shop', '090-1234-5678', 'parcel_delivery', 'tpl', order_no FROM shop.orders WHERE order_no <> 'A-2';
	INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, reference) VALUES ('shop', 'none', 'parcel_delivery', 'tpl', 'B-1');
	RESET ROLE;
	INSERT INTO line_notify.outbox (channel, phone, use_case, template_key, reference) VALUES ('other', '090-1234-5678', 'parcel_delivery', 'tpl', 'A-2')});

# ---- the plain view --------------------------------------------------------
sql('SET ROLE shop_app; CREATE VIEW api.plain AS SELECT reference, state FROM line_notify.notifications; GRANT SELECT ON api.plain TO web_user');
is(as('shop_app', 'SELECT count(*) FROM api.plain'), 3, 'a plain view works for its owner');
my $said = as('web_user', 'SELECT count(*) FROM api.plain');
like($said, qr/permission denied to see messages of line_notify/, 'and not for its readers');
like($said, qr/Role "web_user" is no sender, support or operator\. Functions in a view run as the role that reads it, not as its owner\./, 'it says why');
like($said, qr/SECURITY DEFINER function of a role that is; see doc\/roles\.md/, 'and what works');
# which holds for every view of ours that shows messages
for my $view (qw(messages batches attempts))
{
	sql("SET ROLE shop_app; CREATE VIEW api.plain_$view AS SELECT count(*) FROM line_notify.$view; GRANT SELECT ON api.plain_$view TO web_user");
	like(as('web_user', "SELECT * FROM api.plain_$view"), qr/permission denied to see messages of line_notify/, "$view: the same");
}

# ---- the pattern -----------------------------------------------------------
sql($block);
my $mine = 'SELECT order_no, line_state FROM api.my_orders ORDER BY 1';
sub claims { return "SELECT set_config('request.jwt.claims', '{\"sub\": \"$_[0]\"}', true) IS NULL"; }
is(as('authenticator', "BEGIN; SET LOCAL ROLE web_user; " . claims('anna') . "; $mine; COMMIT"), "f\nA-1|queued\nA-2|",
	'PostgREST: my orders with their state; what is sent through the channel of somebody else has none');
is(as('authenticator', "BEGIN; SET LOCAL ROLE web_user; " . claims('ben') . "; $mine; COMMIT"), "f\nB-1|invalid", 'the latest message counts');
is(as('web_user', $mine), '', 'without a claim, none');
# Hasura has one role, which sees all orders, and filters
sql("SET ROLE shop_app; CREATE POLICY all_for_hasura ON shop.orders TO web_user USING (current_setting('hasura.user', true) IS NOT NULL)");
is(as('web_user', q{SET "hasura.user" = '{"x-hasura-user-id": "ben"}'; } .
		q{SELECT json_build_object('order_no', order_no, 'line_state', line_state) FROM api.my_orders WHERE customer = current_setting('hasura.user')::json ->> 'x-hasura-user-id'}),
	'{"order_no" : "B-1", "line_state" : "invalid"}', 'Hasura: the same view with a filter');
like(as('web_user', 'SELECT count(*) FROM line_notify.notifications'), qr/permission denied for view notifications/, 'it opens nothing else');
sql('CREATE ROLE nobody LOGIN; GRANT USAGE ON SCHEMA shop TO nobody');
like(as('nobody', "SELECT shop.line_state('A-1')"), qr/permission denied for function line_state/, 'and is not for everybody');

$node->stop;
$sim->stop;
done_testing();
