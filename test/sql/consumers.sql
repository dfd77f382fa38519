-- Consumers are made, widened and narrowed by operators, for one channel each, at
-- most sixteen; a sender takes of its own channels what is for it, and can change
-- nothing for anybody else.  No worker: history is written as the worker would.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS line_notify;
CREATE ROLE ln_one;
CREATE ROLE ln_two;
CREATE ROLE ln_both;
CREATE ROLE ln_operator;
SELECT line_notify.create_channel('one', api_base => 'http://127.0.0.1:1');
SELECT line_notify.create_channel('two', api_base => 'http://127.0.0.1:1');
SELECT line_notify.grant_sender('ln_one', '{one}');
SELECT line_notify.grant_sender('ln_two', '{two}');
SELECT line_notify.grant_sender('ln_both');
SELECT line_notify.grant_operator('ln_operator');
SELECT line_notify._ensure_history(1) > 1 AS history;
CREATE FUNCTION pg_temp.ended(id bigint, state line_notify.message_state, channel text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO line_notify.history (id, channel, template_key, state, created_at, ended_at) VALUES ($1, $3, 'tpl', $2, now(), now())
$$;
CREATE FUNCTION pg_temp.waiting() RETURNS TABLE (consumer text, channel text, outcome text, n bigint) LANGUAGE sql AS $$
	SELECT o.consumer, o.channel, o.outcome, count(*) FROM line_notify.outcome o GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
$$;

-- a sender makes none, and widens and narrows none
SET ROLE ln_one;
SELECT * FROM line_notify.take_outcomes(consumer => 'c1');
SELECT * FROM line_notify.take_outcomes(states => '{delivered}');
SELECT * FROM line_notify.take_outcomes(consumer => 'c2', states => '{delivered}', channel => 'two');
SELECT line_notify.set_consumer('default', 'one', outcomes => '{}');
SELECT line_notify.drop_consumer('default', 'two');
RESET ROLE;
SELECT count(*) FROM (SELECT pg_temp.ended(i, 'failed', 'two') FROM generate_series(1, 200) i) x;
SELECT * FROM pg_temp.waiting();
SELECT count(*) FROM line_notify.consumers;

-- an operator does, for a channel
SET ROLE ln_operator;
SELECT line_notify.set_consumer('crm', 'one', outcomes => '{failed,delivered,failed}');
SELECT line_notify.set_consumer('crm', 'two', role => 'ln_two');
SELECT line_notify.set_consumer('sms', 'one');
SELECT name, channel, outcomes, role, waiting FROM line_notify.consumers ORDER BY name, channel;
RESET ROLE;
SELECT pg_temp.ended(301, 'failed', 'one'), pg_temp.ended(302, 'failed', 'two'), pg_temp.ended(303, 'delivered', 'one'), pg_temp.ended(304, 'delivered', 'two');
SELECT * FROM pg_temp.waiting();

-- each takes its own
SET ROLE ln_one;
SELECT id, state, message_channel FROM line_notify.take_outcomes(consumer => 'crm') ORDER BY id;
SELECT id, state, message_channel FROM line_notify.take_outcomes(consumer => 'crm', channel => 'two');
SELECT id, state, message_channel FROM line_notify.take_outcomes() ORDER BY id;
SELECT id FROM line_notify.take_outcomes(consumer => 'sms', states => '{delivered}');
SELECT id FROM line_notify.take_outcomes(consumer => 'sms', states => '{failed}');
-- of two channels, one is for another role
SET ROLE ln_both;
SELECT id FROM line_notify.take_outcomes(consumer => 'crm', channel => 'two');
SELECT id FROM line_notify.take_outcomes(consumer => 'crm');
SELECT id FROM line_notify.take_outcomes(1);
SET ROLE ln_two;
SELECT id, state FROM line_notify.take_outcomes(consumer => 'crm');
RESET ROLE;
GRANT ln_two TO ln_both;
SELECT pg_temp.ended(305, 'failed', 'two');
SET ROLE ln_both;
SELECT id, state FROM line_notify.take_outcomes(consumer => 'crm');

-- widened and narrowed from then on, and given to every sender again
SET ROLE ln_operator;
SELECT line_notify.set_consumer('sms', 'one', outcomes => '{expired}');
SELECT line_notify.set_consumer('default', 'two', outcomes => '{}');
SELECT line_notify.set_consumer('crm', 'two', role => '-');
RESET ROLE;
SELECT pg_temp.ended(311, 'failed', 'one'), pg_temp.ended(312, 'failed', 'two'), pg_temp.ended(313, 'expired', 'one');
SELECT * FROM pg_temp.waiting() w WHERE w.consumer <> 'default' OR w.channel = 'one';

-- at most sixteen for a channel, which is for each
SET ROLE ln_operator;
SELECT count(*) FROM (SELECT line_notify.set_consumer('c' || i, 'one') FROM generate_series(1, 13) i) x;
SELECT line_notify.set_consumer('c14', 'one');
SELECT line_notify.set_consumer('c13', 'one', outcomes => '{delivered}');
SELECT line_notify.set_consumer('c14', 'two');

-- what is refused
SELECT line_notify.set_consumer(NULL, 'one');
SELECT line_notify.set_consumer('no such name', 'one');
SELECT line_notify.set_consumer('x', NULL);
SELECT line_notify.set_consumer('x', 'missing');
SELECT line_notify.set_consumer('x', 'two', outcomes => '{lost}');
SELECT line_notify.set_consumer('x', 'two', outcomes => '{NULL}');
SELECT line_notify.set_consumer('x', 'two', role => 'missing');
SELECT line_notify.set_consumer('x', 'two', role => '4294967290');
SELECT line_notify.drop_consumer('default');
SELECT line_notify.drop_consumer('crm', 'missing');
SELECT line_notify.drop_consumer('sms', 'two');
SELECT role, filter FROM line_notify.operations WHERE function = 'set_consumer' ORDER BY seq LIMIT 3;

-- dropped for a channel, for all, and with the channel
SELECT line_notify.drop_consumer('crm', 'two');
SELECT line_notify.drop_consumer('c1');
SELECT name, channel FROM line_notify.consumers WHERE name ~ '^(c1|crm)$' ORDER BY 1, 2;
RESET ROLE;
SELECT line_notify.drop_channel('two');
SELECT DISTINCT channel FROM line_notify.consumers;
SELECT DISTINCT channel FROM line_notify.outcome;
DROP EXTENSION line_notify CASCADE;
DROP OWNED BY ln_one, ln_two, ln_both, ln_operator;
DROP ROLE ln_one, ln_two, ln_both, ln_operator;
