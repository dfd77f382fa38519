/*-------------------------------------------------------------------------
 *
 * message_columns.h
 *		What an application says of a message: columns of the outbox.
 *
 * The one list of them, as kwlist.h is that of the keywords.  C expands it as
 * a macro; sql/parts/expand.awk reads it, and writes it out in the script,
 * where that says @{...}.  Their order is that of the table.  What they
 * become:
 *
 * SAID		is not kept as it is: history has no such column, or what moves a
 *			message says what it gets
 * KEPT		stays with the message, from the outbox to history, and back
 * ERASED	the same, until its person is forgotten
 *
 * The id is not in it, nor what we say of a message.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_MESSAGE_COLUMNS_H
#define LN_MESSAGE_COLUMNS_H

/* name, type (of pg_catalog, if it says no schema) */
#define LN_MESSAGE_COLUMNS(SAID, KEPT, ERASED) \
	SAID(channel, text) \
	SAID(phone, text) \
	SAID(region, text) \
	ERASED(recipient, text) \
	KEPT(use_case, line_notify.use_case) \
	KEPT(template_key, text) \
	ERASED(body, jsonb) \
	ERASED(messages, jsonb) \
	KEPT(notification_disabled, bool) \
	KEPT(aggregation_unit, text) \
	SAID(priority, int2) \
	SAID(send_after, timestamptz) \
	SAID(spread, interval) \
	SAID(expires_at, timestamptz) \
	KEPT(batch, text) \
	ERASED(dedup_key, text) \
	SAID(on_duplicate, text) \
	ERASED(order_key, text) \
	ERASED(reference, text) \
	KEPT(policy, jsonb) \
	ERASED(traceparent, text)

/*
 * The range of priorities; and how many lanes that makes, see db/outbox.h.
 * Numbers, not expressions: the script has them as @{LN_LANES}, too.
 */
#define LN_MIN_PRIORITY		(-10)
#define LN_MAX_PRIORITY		10
#define LN_LANES			42

/*
 * In SQL: "recipient, use_case, ... traceparent," of a list of columns, and
 * the same of a row o of the outbox.
 */
#define LN_NO_COLUMN(name, type)
#define LN_COLUMN_NAME(name, type)	" " #name ","
#define LN_COLUMN_OF_O(name, type)	" o." #name ","
#define LN_KEPT_COLUMNS \
	LN_MESSAGE_COLUMNS(LN_NO_COLUMN, LN_COLUMN_NAME, LN_COLUMN_NAME)
#define LN_KEPT_COLUMNS_OF_O \
	LN_MESSAGE_COLUMNS(LN_NO_COLUMN, LN_COLUMN_OF_O, LN_COLUMN_OF_O)

/* their names and types, as elements of an array of texts */
#define LN_COLUMN_STRING(name, type)	#name,
#define LN_TYPE_STRING(name, type)		#type,

#endif							/* LN_MESSAGE_COLUMNS_H */
