# What LINE refuses never leaves the database, and what it takes is never
# stopped: every content of test/content/corpus.tsv is inserted, and the
# simulated LINE API is held to the same lines.
# TAP: reads a file, and runs the simulator's checks in Python.

use strict;
use warnings;
use utf8;

use Encode;
use File::Basename;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

$ENV{PGCLIENTENCODING} = 'UTF8';

my $test = dirname(dirname(__FILE__));

my $tap = qx(python3 $test/mock/check_corpus.py 2>&1);
my @wrong = grep { !/^ok / } split /\n/, $tap;
is("@wrong", ($tap =~ /^(1\.\.[0-9]{3,})$/m)[0],
	'the simulator answers every content as LINE\'s documents say');

# the other mode shares no rule with us: a colour passes there, a picture does not
my $modes = qx(cd $test/mock && python3 -c '
import config, content
def answer(mode, component):
    settings = config.defaults()
    settings["validation"] = mode
    try:
        content.check("flexible", {"to": "0" * 64, "messages": [{"type": "flex", "altText": "a", "contents": {
            "type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": [component]}}}]}, settings)
        return "taken"
    except content.Fault as fault:
        return fault.body["details"][0]["property"]
for mode in ("schema", "independent"):
    print(mode, answer(mode, {"type": "text", "text": "a", "color": "red"}), answer(mode, {"type": "image", "url": "https://a"}))' 2>&1);
is($modes, "schema /body/contents/0/color messages[0].contents.body.contents[0].type\n"
	. "independent taken messages[0].contents.body.contents[0].type\n", 'by the table, and independently of it');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION line_notify;
	SELECT line_notify.create_channel('lenient', use_case_required => false);
	SELECT line_notify.create_channel('strict', use_case_required => false, unknown_content => 'refuse');
	CREATE TABLE corpus (n int GENERATED ALWAYS AS IDENTITY, verdict text, source text, place text, content jsonb);
	CREATE FUNCTION request(place text, c jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
	BEGIN
		IF place IN ('child', 'span', 'action') THEN
			c := CASE place WHEN 'child' THEN jsonb_build_object('type', 'box', 'layout', 'baseline', 'contents', jsonb_build_array(c))
				WHEN 'span' THEN jsonb_build_object('type', 'text', 'contents', jsonb_build_array(c))
				ELSE jsonb_build_object('type', 'button', 'action', c) END;
			place := 'component';
		END IF;
		IF place = 'component' THEN
			c := jsonb_build_object('type', 'bubble', 'body', jsonb_build_object('type', 'box', 'layout', 'vertical', 'contents', jsonb_build_array(c)));
		ELSIF place = 'bubble' THEN
			c := jsonb_build_object('type', 'carousel', 'contents', jsonb_build_array(c));
		ELSIF place = 'quick' THEN
			c := jsonb_build_object('items', jsonb_build_array(jsonb_build_object('type', 'action', 'action', c)));
		END IF;
		c := CASE WHEN place IN ('component', 'bubble', 'container') THEN jsonb_build_object('type', 'flex', 'altText', 'a', 'contents', c)
			WHEN place = 'template' THEN jsonb_build_object('type', 'template', 'altText', 'a', 'template', c)
			WHEN place IN ('reply', 'quick') THEN jsonb_build_object('type', 'text', 'text', 'a', 'quickReply', c)
			WHEN place = 'sender' THEN jsonb_build_object('type', 'text', 'text', 'a', 'sender', c)
			ELSE c END;
		RETURN CASE WHEN place IN ('request', 'templated') THEN c ELSE jsonb_build_object('messages', jsonb_build_array(c)) END;
	END $$;
	-- what becomes of a content at INSERT
	CREATE FUNCTION try(name text, r jsonb) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		s text;
	BEGIN
		INSERT INTO line_notify.outbox (channel, phone, template_key, body, messages)
		VALUES (name, '09012345678', r ->> 'templateKey', nullif(r -> 'body', 'null'), nullif(r -> 'messages', 'null')) RETURNING state INTO s;
		RETURN s;
	EXCEPTION WHEN invalid_parameter_value THEN
		RETURN 'error';
	END $$;
));
my $n = 0;
my $load = '';
for my $line (split /\n/, decode_utf8(slurp_file("$test/content/corpus.tsv")))
{
	next if $line =~ /^#/ || $line eq '';
	my ($verdict, $source, $place, $json) = split /\t/, $line;
	$load .= "INSERT INTO corpus (verdict, source, place, content) VALUES ('$verdict', \$v\$$source\$v\$, '$place', \$v\$$json\$v\$);\n";
	$n++;
}
my ($rc, undef, $err) = $node->psql('postgres', encode_utf8("BEGIN;\n$load COMMIT;"), on_error_stop => 1);
is($rc, 0, 'the corpus is loaded') || diag($err);
is($node->safe_psql('postgres', 'SELECT count(*) FROM corpus'), $n, 'all of it');

# what belongs to the request as a whole is a column of the outbox, not content
my $seen = $node->safe_psql('postgres', q(
	SELECT string_agg(format('%s %s %s: lenient %s, strict %s', n, verdict, left(content::text, 80), lenient, strict), E'\n' ORDER BY n)
	FROM (SELECT *, try('lenient', request(place, content)) AS lenient, try('strict', request(place, content)) AS strict
		  FROM corpus WHERE NOT (place IN ('request', 'templated')
			AND (content ? 'customAggregationUnits' OR content ? 'notificationDisabled' OR content ? 'notification_disabled' OR content ? 'retryKey' OR content ? 'locale'))) c
	WHERE CASE verdict WHEN 'refused' THEN lenient = 'queued' OR strict = 'queued'
		WHEN 'unknown' THEN lenient <> 'queued' OR strict = 'queued'
		ELSE lenient <> 'queued' OR strict <> 'queued' END));
is($seen, '', 'INSERT stops what LINE refuses and nothing else') ;
is($node->safe_psql('postgres', q(
	SELECT count(*) FILTER (WHERE content_warnings IS NOT NULL) >= 30, count(*) FILTER (WHERE content_warnings IS NULL) >= 120
	FROM line_notify.notifications WHERE channel = 'lenient' AND state = 'queued')),
	't|t', 'column content_warnings of notifications tells the doubtful from the good');

$node->stop;
done_testing();
