/*-------------------------------------------------------------------------
 *
 * outbox.h
 *		All SQL of the sender: channels, claim, record, rescue, webhook events.
 *		The one door to SPI; outside, a row is a C struct.
 *
 * Every function needs an open transaction and a connected SPI, raises on any
 * database error, and returns memory of the context that was current when it
 * was called.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_OUTBOX_H
#define LN_OUTBOX_H

#include "datatype/timestamp.h"

#include "line_api.h"

/* what a channel gets its access token by */
typedef enum LnCredential
{
	LN_CREDENTIAL_NONE,
	LN_CREDENTIAL_TOKEN,		/* access_token: it is one */
	LN_CREDENTIAL_SECRET,		/* client_secret: LINE issues one for it */
	LN_CREDENTIAL_JWT			/* jwt_key: LINE issues one for an assertion
								 * signed with it */
} LnCredential;

/* one row of table channel, with its secrets */
typedef struct LnChannelRow
{
	char	   *name;
	int64		home;
	char	   *api_base;
	char	   *line_channel_id;	/* or NULL */
	char	   *region;
	int			rate_limit;
	int			max_in_flight;
	int64		default_ttl_us;
	bool		on_invalid_error;
	LinePolicy	on_unknown;
	LinePolicy	on_server_error;
	int			max_attempts;	/* INT_MAX = no limit */
	int64		backoff_base_ms;
	int64		backoff_cap_ms;
	int			connect_timeout_ms;
	int			total_timeout_ms;
	bool		use_case_required;
	char	   *proxy;			/* or NULL */
	char	   *ca_file;		/* or NULL */
	bool		paused;
	LnCredential credential;	/* only ln_outbox_load_credentials fills these */
	char	   *credential_value;	/* secret, or file:/path */
	char	   *credential_key_id;	/* jwt_key: LINE's kid */
	bool		credential_v21; /* jwt_key: v2.1 instead of stateless tokens */
	char	   *channel_secret; /* of webhooks, or NULL */
	char	   *previous_channel_secret;
} LnChannelRow;

/* which role may send through which channel */
typedef struct LnSenderRow
{
	Oid			role;
	char	   *channel;		/* "*" = every one */
} LnSenderRow;

/* a claimed message */
typedef struct LnMessage
{
	int64		id;
	uint64		token;			/* lease token */
	int			attempt;		/* the one about to be made, from 1 */
	bool		maybe_sent;		/* an earlier one may have arrived */
	bool		ordered;		/* has an order_key */
	bool		blocked;		/* an earlier message of its order_key waits */
	TimestampTz due_at;
	char	   *recipient;
	char	   *template_key;	/* or NULL: flexible */
	char	   *body;			/* JSON text or NULL */
	char	   *messages;		/* JSON text or NULL */
	int			notification_disabled;	/* -1, 0, 1 */
	char	   *aggregation_unit;	/* or NULL */
} LnMessage;

/* what became of a claimed message */
typedef struct LnRecord
{
	int64		id;
	uint64		token;
	LineNext	next;
	LineOutcome outcome;
	int			status;			/* 0 = none */
	const char *request_id;		/* or "" */
	const char *error;			/* or "" */
	TimestampTz sent_at;		/* 0 = never started */
	TimestampTz ended_at;
	TimestampTz retry_at;		/* LINE_RETRY_LATER, LINE_RETURN */
	bool		attempted;		/* an attempt was made: goes to the log */
} LnRecord;

/* a claim whose claimer is dead */
typedef struct LnOrphan
{
	int64		id;
	uint64		token;
	int			attempt;
	uint64		claimer;
	bool		maybe_sent;
	char	   *channel;
} LnOrphan;

/* a lane: messages of one channel and priority, in order of due time */
typedef struct LnLaneRow
{
	char	   *channel;
	int			priority;
	TimestampTz first_due;		/* DT_NOEND = nothing that time alone would
								 * make due */
} LnLaneRow;

/* one parsed delivery event */
typedef struct LnEvent
{
	const char *event_id;
	const char *type;
	bool		tagged;
	int64		message_id;
	int			attempt;
	uint64		token;
	const char *recipient;		/* untagged: the hash, or NULL */
	TimestampTz event_at;
} LnEvent;

/* Is the extension there, and which version of its objects? NULL = not there. */
extern char *ln_outbox_extension_version(void);

/* The home of this cluster, database and node; 0 = disarmed. */
extern int64 ln_outbox_local_home(void);

/* All channels / senders, ordered by name. */
extern int	ln_outbox_load_channels(LnChannelRow **rows);
extern int	ln_outbox_load_senders(LnSenderRow **rows);

/* Fill in the credentials of channels loaded before. */
extern void ln_outbox_load_credentials(LnChannelRow *rows, int n);

/* The lanes that have rows of this home, with their first due time. */
extern int	ln_outbox_survey(int64 home, LnLaneRow **rows);

/* When the next waiting row expires; DT_NOEND = none. */
extern TimestampTz ln_outbox_next_expiry(int64 home, TimestampTz low);

/* Are there webhook events to fold? */
extern bool ln_outbox_has_events(void);

/*
 * Lock up to limit rows of a lane that are due between low and now and not in
 * flight, in order.  Nothing is written: decide, then ln_outbox_mark() or
 * ln_outbox_park().
 */
extern int	ln_outbox_pick(const char *channel, int priority, int64 home,
						   TimestampTz low, TimestampTz now, int limit,
						   LnMessage **rows);

/* Claim picked rows: writes their leases. */
extern void ln_outbox_mark(const LnMessage *rows, int n, int64 home, uint64 claimer);

/* Put picked rows aside until the head of their order_key is through. */
extern void ln_outbox_park(const LnMessage *rows, int n);

/* Record outcomes; n of them under their lease. Returns how many leases still held. */
extern int	ln_outbox_record(const LnRecord *recs, int n);

/* Keep, for health(), why a channel has no access token; "" = it has one. */
extern void ln_outbox_note_token(const char *channel, const char *error);

/* Pause a channel, unless it is paused already. */
extern void ln_outbox_pause(const char *channel, const char *reason);

/* Move rows whose time is over, and parked ones, to history. Returns how many; *next = their last expires_at. */
extern int	ln_outbox_expire(int64 home, TimestampTz low, TimestampTz now, int limit, TimestampTz *last);

/* Claims of claimers other than "me", of this home. */
extern int	ln_outbox_orphans(int64 home, uint64 me, LnOrphan **rows);

/* Fold up to limit webhook events into the messages they are of; returns how many were taken. */
extern int	ln_outbox_fold(int limit);

/*
 * Judge the silence after one more minute of accepted messages of each channel;
 * sum up counters.  Returns when to come again, DT_NOBEGIN = at once.
 */
extern TimestampTz ln_outbox_sweep_silence(int64 silence_us);

/* Insert events that are new; returns how many were. */
extern int	ln_outbox_insert_events(const char *channel, const LnEvent *events, int n);

#endif							/* LN_OUTBOX_H */
