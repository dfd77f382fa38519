/*-------------------------------------------------------------------------
 *
 * guc.h
 *		Settings of line_notify.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_GUC_H
#define LN_GUC_H

extern PGDLLIMPORT bool ln_guc_enabled;
extern PGDLLIMPORT bool ln_guc_enqueue;
extern PGDLLIMPORT int ln_guc_content_warnings; /* LN_CONTENT_WARNINGS_ */
extern PGDLLIMPORT char *ln_guc_default_channel;
extern PGDLLIMPORT char *ln_guc_notify_outcomes;	/* "" = not */
extern PGDLLIMPORT int ln_guc_max_messages_per_transaction;
extern PGDLLIMPORT int ln_guc_max_databases;
extern PGDLLIMPORT int ln_guc_max_in_flight;
extern PGDLLIMPORT int ln_guc_shutdown_timeout;
extern PGDLLIMPORT int ln_guc_idle_timeout;
extern PGDLLIMPORT int ln_guc_flush_outcomes_after; /* ms, 0 = at once */
extern PGDLLIMPORT int ln_guc_connection_idle;
extern PGDLLIMPORT int ln_guc_promotion_grace;	/* seconds */
extern PGDLLIMPORT int ln_guc_on_promotion; /* LN_PROMOTION_ */
extern PGDLLIMPORT int ln_guc_retention;	/* minutes, -1 = for ever */
extern PGDLLIMPORT int ln_guc_payload_retention;	/* the same */
extern PGDLLIMPORT int ln_guc_operations_retention; /* the same */
extern PGDLLIMPORT int ln_guc_delivery_timeout;
extern PGDLLIMPORT char *ln_guc_trace_file; /* "" = no trace */
extern PGDLLIMPORT int ln_guc_node_number;	/* 0 to LN_MAX_NODE_NUMBER */

/* ten of the 53 bits of an id: see db/message_id.h */
#define LN_MAX_NODE_NUMBER	1023

#define LN_CONTENT_WARNINGS_OFF		0
#define LN_CONTENT_WARNINGS_NOTICE	1

#define LN_PROMOTION_HOLD	0
#define LN_PROMOTION_SEND	1
#define LN_PROMOTION_HOLD_ALL	2

/* Define everything; called once from _PG_init. */
extern void ln_guc_define(void);

/* Name of this node: line_notify.node, or the host name. Static storage. */
extern const char *ln_guc_node(void);

#endif							/* LN_GUC_H */
