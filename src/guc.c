/*-------------------------------------------------------------------------
 *
 * guc.c
 *		Every setting of line_notify, a paragraph each.
 *
 * What belongs to one LINE channel (rates, time-outs, policies) is a column of
 * table channel; a setting is what belongs to a server or to a session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <unistd.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "guc.h"

bool		ln_guc_enabled = true;
bool		ln_guc_enqueue = true;
char	   *ln_guc_default_channel = NULL;
char	   *ln_guc_notify_outcomes = "";
char	   *ln_guc_trace_file = "";
int			ln_guc_max_messages_per_transaction = 1000000;
int			ln_guc_max_databases = 64;
int			ln_guc_max_in_flight = 512;
int			ln_guc_shutdown_timeout = 3000;
int			ln_guc_idle_timeout = 600;
int			ln_guc_flush_outcomes_after = 200;
int			ln_guc_connection_idle = 10;
int			ln_guc_promotion_grace = 300;
int			ln_guc_content_warnings = LN_CONTENT_WARNINGS_OFF;
int			ln_guc_on_promotion = LN_PROMOTION_HOLD;
int			ln_guc_retention = 30 * 24 * 60;
int			ln_guc_payload_retention = 7 * 24 * 60;
int			ln_guc_operations_retention = 400 * 24 * 60;
int			ln_guc_delivery_timeout = 90000;
int			ln_guc_node_number = 0;

static char *guc_node = NULL;

static bool check_notify_outcomes(char **newval, void **extra,
								  GucSource source);

static const struct config_enum_entry content_warnings_options[] = {
	{"off", LN_CONTENT_WARNINGS_OFF, false},
	{"notice", LN_CONTENT_WARNINGS_NOTICE, false},
	{NULL, 0, false}
};

static const struct config_enum_entry on_promotion_options[] = {
	{"hold", LN_PROMOTION_HOLD, false},
	{"send", LN_PROMOTION_SEND, false},
	{"hold_all", LN_PROMOTION_HOLD_ALL, false},
	{NULL, 0, false}
};

const char *
ln_guc_node(void)
{
	static char host[HOST_NAME_MAX + 1];

	if (guc_node != NULL && guc_node[0] != '\0')
		return guc_node;
	if (host[0] == '\0' && gethostname(host, sizeof(host) - 1) != 0)
		strlcpy(host, "unknown", sizeof(host));
	return host;
}

void
ln_guc_define(void)
{
	/*
	 * The kill switch.  Off: workers finish what is on the wire and claim
	 * nothing more; messages are still accepted into the outbox.  A reload is
	 * enough, and no grant or password is needed in an emergency.
	 */
	DefineCustomBoolVariable("line_notify.enabled",
							 "Whether this server sends messages.",
							 "Off: nothing more leaves, messages wait in the outbox.",
							 &ln_guc_enabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * Lets a session change business tables without notifying anybody, for
	 * backfills and corrections: an INSERT into the outbox inserts nothing.
	 */
	DefineCustomBoolVariable("line_notify.enqueue",
							 "Whether INSERTs into the outbox of this session take effect.",
							 NULL,
							 &ln_guc_enqueue, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	/*
	 * What is doubtful in a content does not stop its INSERT.  Whoever writes
	 * contents sees it at once with this; later, column content_warnings of
	 * view notifications has it.
	 */
	DefineCustomEnumVariable("line_notify.content_warnings",
							 "Whether an INSERT reports what is doubtful in the content.",
							 "notice: each warning of check_message() is a NOTICE.",
							 &ln_guc_content_warnings,
							 LN_CONTENT_WARNINGS_OFF,
							 content_warnings_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	/*
	 * The channel of messages that name none.  Set it per database or role; a
	 * database with one channel needs no default.
	 */
	DefineCustomStringVariable("line_notify.default_channel",
							   "Channel of messages that do not name one.",
							   NULL,
							   &ln_guc_default_channel, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);

	/*
	 * One careless UPDATE of a whole table must not send a million paid
	 * messages.  Only superusers raise it, for one transaction by SET LOCAL.
	 */
	DefineCustomIntVariable("line_notify.max_messages_per_transaction",
							"Most messages that one transaction may queue.",
							NULL,
							&ln_guc_max_messages_per_transaction,
							1000000, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);

	/*
	 * Who we are, for the guard that keeps copies of a server silent: a base
	 * backup started on another host has another name and sends nothing until
	 * line_notify.arm().  Containers with random host names set it.
	 */
	DefineCustomStringVariable("line_notify.node", "Name of this node.",
							   "Empty: the host name.", &guc_node, "",
							   PGC_SIGHUP, GUC_NOT_IN_SAMPLE, NULL, NULL,
							   NULL);

	/*
	 * Several servers that send through one LINE channel get delivery events
	 * for each other's messages.  The number stands above the count in every
	 * id that is made here, so that an id names its server.
	 */
	DefineCustomIntVariable("line_notify.node_number",
							"Number of this server within the ids of its messages.",
							NULL,
							&ln_guc_node_number, 0, 0, LN_MAX_NODE_NUMBER,
							PGC_SIGHUP, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);

	/*
	 * How long a worker that must stop waits for answers to what is on the
	 * wire.  What is unanswered then becomes unknown.
	 */
	DefineCustomIntVariable("line_notify.shutdown_timeout",
							"Time a stopping worker waits for answers.",
							NULL,
							&ln_guc_shutdown_timeout, 3000, 0, 60000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	/*
	 * An idle worker gives its slot of max_worker_processes back and is
	 * started again by the next message; 0 keeps it for ever.
	 */
	DefineCustomIntVariable("line_notify.idle_timeout",
							"Time after which a worker with nothing to do leaves.",
							"0: never.",
							&ln_guc_idle_timeout, 600, 0, INT_MAX / 1000,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	/*
	 * Outcomes are recorded by commits that do not wait for the disk, where
	 * the send journal can stand in for what a crash takes of them; after a
	 * power loss it cannot.  By default as often as the WAL writer flushes.
	 */
	DefineCustomIntVariable("line_notify.flush_outcomes_after",
							"Longest time until a recorded outcome is on disk.",
							"0: it is when it can be seen.",
							&ln_guc_flush_outcomes_after, 200, 0, 3600000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	/*
	 * A standby that was promoted without having been waited for may miss the
	 * last claims of the former primary: messages that were due then wait so
	 * long for LINE's delivery events ...
	 */
	DefineCustomIntVariable("line_notify.promotion_grace",
							"Time that messages in doubt after a promotion wait for delivery events.",
							"Only without synchronous replication. Half of it is the time in which a planned switchover is believed.",
							&ln_guc_promotion_grace, 300, 0, 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	/*
	 * ... and this becomes of the rest: never twice, or never lost.  hold_all
	 * is for a standby that lacks more than the last moments: no proof
	 * counts, and all that waits may have been sent.
	 */
	DefineCustomEnumVariable(
							 "line_notify.on_promotion",
							 "What becomes of messages in doubt after a promotion.",
							 "hold: they end as unknown. send: they are sent, some of them again. hold_all: as hold, and everything that waits is in doubt.",
							 &ln_guc_on_promotion, LN_PROMOTION_HOLD,
							 on_promotion_options,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);

	/*
	 * How long finished messages are kept, and how long their content is.
	 * Whole partitions are dropped, about a day's messages each, so a row may
	 * stay that much longer.  Set them per database with ALTER DATABASE; the
	 * daily totals, which name nobody, outlive both.
	 */
	DefineCustomIntVariable("line_notify.retention",
							"Time that finished messages are kept.",
							"-1: for ever.",
							&ln_guc_retention, 30 * 24 * 60, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomIntVariable(
							"line_notify.payload_retention",
							"Time that the content of finished messages is kept.",
							"-1: as long as the message.",
							&ln_guc_payload_retention, 7 * 24 * 60,
							-1, INT_MAX, PGC_SUSET, GUC_UNIT_MIN, NULL, NULL,
							NULL);

	/*
	 * The log of operator functions and searches names who did what to which
	 * reference. More than a year, so that whoever asks about the same month
	 * of last year finds it, and not for ever.
	 */
	DefineCustomIntVariable(
							"line_notify.operations_retention",
							"Time that the log of operations and searches is kept.",
							"-1: for ever.", &ln_guc_operations_retention,
							400 * 24 * 60, -1,
							INT_MAX, PGC_SUSET, GUC_UNIT_MIN, NULL, NULL,
							NULL);

	/*
	 * A connection that was idle for longer is not used again.  Below the
	 * idle time-out of whatever stands in front of the API: a connection that
	 * the other side closes while we write makes that message unknown.
	 */
	DefineCustomIntVariable("line_notify.connection_idle",
							"Longest idle time of a connection that is used again.",
							"0: a new connection for every message.",
							&ln_guc_connection_idle, 10, 0, 3600,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	/*
	 * LINE tells of a delivery within 24 hours after it took the message, or
	 * never.  An hour more for clocks and redelivered webhooks.  Shorter only
	 * in tests.
	 */
	DefineCustomIntVariable("line_notify.delivery_timeout",
							"Time without delivery event after which an accepted message counts as undelivered.",
							"Only if events of other messages were arriving at the time.",
							&ln_guc_delivery_timeout, 90000, 1, 30 * 86400,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);

	/*
	 * A hint for consumers of take_outcomes(), who then need not ask so
	 * often. The worker gives it, after the transaction that recorded the
	 * outcome, so that nothing of LISTEN and NOTIFY can hold up the
	 * recording.
	 */
	DefineCustomStringVariable(
							   "line_notify.notify_outcomes",
							   "NOTIFY channel on which it is announced that outcomes wait.",
							   "Empty: it is not announced.",
							   &ln_guc_notify_outcomes, "", PGC_SUSET,
							   0, check_notify_outcomes, NULL, NULL);

	/*
	 * For developers: what was done with each message, in the order in which
	 * it was, to be held against the model of the protocol; see trace.h.  It
	 * grows without bound, by about 1 kB a message.
	 */
	DefineCustomStringVariable("line_notify.trace_file",
							   "File to which workers append what they do with each message, for tests.",
							   "Empty: none. A relative name is one in the data directory.",
							   &ln_guc_trace_file, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY |
							   GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);

	/* Messages on the wire at once, per worker; read when a worker starts. */
	DefineCustomIntVariable("line_notify.max_in_flight",
							"Messages on the wire at once, per database.",
							NULL,
							&ln_guc_max_in_flight, 512, 1, 10000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);

	/* Places in shared memory, about 1 kB each. */
	if (process_shared_preload_libraries_in_progress)
		DefineCustomIntVariable("line_notify.max_databases",
								"Most databases of this cluster with line_notify.",
								NULL,
								&ln_guc_max_databases, 64, 1, 10000,
								PGC_POSTMASTER, 0, NULL, NULL, NULL);

	MarkGUCPrefixReserved("line_notify");
}

/* what NOTIFY itself would refuse */
static bool
check_notify_outcomes(char **newval, void **extra, GucSource source)
{
	if (strlen(*newval) < NAMEDATALEN)
		return true;
	GUC_check_errdetail("A channel name has fewer than %d bytes.",
						NAMEDATALEN);
	return false;
}
