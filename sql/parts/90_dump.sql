
--
-- Registration for dump
--

SELECT pg_catalog.pg_extension_config_dump('line_notify.identity', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.channel', '');
-- Roles are dumped by name.  One that is gone has none, and its number may be
-- another's where the dump is restored.
SELECT pg_catalog.pg_extension_config_dump('line_notify.sender',
	'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) role)');
SELECT pg_catalog.pg_extension_config_dump('line_notify.approval', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.design', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.partial_pause', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.daily_sent', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.dedup', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.unblock', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.unblock_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outbox', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.in_flight', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.set_aside', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.history', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.attempt_log', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.webhook_event', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.seen_event', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.daily_count', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.delivered_counts', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.engagement_count', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.unit_usage', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.price', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.suppression', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.minute_count', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.sweep_mark', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.message_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.webhook_event_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.operations', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.operations_seq_seq', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.consumer',
	'WHERE role IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) role)');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outcome', '');
SELECT pg_catalog.pg_extension_config_dump('line_notify.outcome_seq_seq', '');
