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

#include "db/message_columns.h"
#include "line/line_api.h"

/* what a channel gets its access token by */
typedef enum LnCredential
{
	LN_CREDENTIAL_NONE,
	LN_CREDENTIAL_TOKEN,		/* access_token: it is one */
	LN_CREDENTIAL_SECRET,		/* client_secret: LINE issues one for it */
	LN_CREDENTIAL_JWT			/* jwt_key: LINE issues one for an assertion
								 * signed with it */
} LnCredential;

/*
 * A lane is a priority and an endpoint; the script computes outbox.lane alike.
 */
StaticAssertDecl(LN_LANES == (LN_MAX_PRIORITY - LN_MIN_PRIORITY + 1) * 2,
				 "a lane for each priority and endpoint");

static inline int
ln_lane(int priority, LineKind kind)
{
	return (priority - LN_MIN_PRIORITY) * 2 + (kind == LINE_FLEXIBLE ? 1 : 0);
}

static inline LineKind
ln_lane_kind(int lane)
{
	return lane % 2 == 0 ? LINE_TEMPLATE : LINE_FLEXIBLE;
}

static inline int
ln_lane_priority(int lane)
{
	return lane / 2 + LN_MIN_PRIORITY;
}

/*
 * What refusals are counted by: "t" and a template_key, or "u" and a use case.
 * Longer ones are cut off; LINE's template keys are far shorter.
 */
#define LN_SUBJECT_LEN		128

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
	LineDisposition on_unknown;
	LineDisposition on_server_error;
	int			max_attempts;	/* INT_MAX = no limit */
	int64		backoff_base_ms;
	int64		backoff_cap_ms;
	int			connect_timeout_ms;
	int			total_timeout_ms;
	bool		use_case_required;
	bool		catalogue_only;
	bool		refuse_unknown; /* content that we do not know */
	char	   *proxy;			/* or NULL */
	char	   *ca_file;		/* or NULL */
	bool		paused;
	bool		paused_automatically;
	int64		settle_window_us;
	int64		dedup_window_us;
	bool		replace_duplicate;
	char	   *time_zone;
	char	   *quiet_hours;	/* or NULL */
	int			daily_budget;	/* 0 = none */
	char	  **only_recipients;	/* sorted hashes; NULL = everybody */
	int			nonly_recipients;

	/* only ln_outbox_load_flow fills these */
	bool		endpoint_paused[2]; /* by LineKind */
	char	  **paused_subjects;
	int			npaused_subjects;
	char	  **paused_use_cases;
	int			npaused_use_cases;
	int64		sent_today;
	TimestampTz day_ends;

	LnCredential credential;	/* these, down to the end, only
								 * ln_outbox_load_credentials fills */
	char	   *credential_value;	/* secret, or file:/path */
	char	   *credential_key_id;	/* jwt_key: LINE's kid */
	bool		credential_v21; /* jwt_key: v2.1 instead of stateless tokens */
	char	   *token_error;	/* what health() tells of it, or NULL */
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
	int			ask;			/* which of the lanes that were asked for */
	int64		id;
	uint64		token;			/* lease token */
	int			attempt;		/* the one about to be made, from 1 */
	bool		maybe_sent;		/* an earlier one may have arrived */
	bool		ordered;		/* has an order_key */
	int64		order_hash;		/* of its order_key */
	bool		blocked;		/* an earlier message of its order_key waits */
	TimestampTz due_at;
	TimestampTz expires_at;
	char	   *recipient;
	char	   *template_key;	/* or NULL: flexible */
	char	   *body;			/* JSON text or NULL */
	char	   *messages;		/* JSON text or NULL */
	int			notification_disabled;	/* -1, 0, 1 */
	char	   *aggregation_unit;	/* or NULL */
	char	   *use_case;		/* "" = none */
	struct LnPolicy *policy;	/* NULL = all as the channel has it */
	bool		not_utf8;		/* some text of it has no UTF-8 form, and is
								 * as in the database */
} LnMessage;

/* a lane to claim from */
typedef struct LnLaneAsk
{
	const char *channel;
	int			lane;
	TimestampTz low;			/* nothing in it is due before */
	int			limit;			/* so many of it at most */
} LnLaneAsk;

/* what became of a claimed message */
typedef struct LnRecord
{
	int64		id;
	uint64		token;
	const char *channel;
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
	TimestampTz claimed_at;
	bool		maybe_sent;
	char	   *channel;
	struct LnPolicy *policy;	/* NULL = all as the channel has it */
} LnOrphan;

/*
 * a lane: messages of one channel, priority and endpoint, in order of due time
 */
typedef struct LnLaneRow
{
	char	   *channel;
	int			lane;
	TimestampTz first_due;		/* DT_NOEND = nothing that time alone would
								 * make due */
} LnLaneRow;

/* Which notes are left when ln_outbox_unblock() returns? */
typedef enum LnNotesLeft
{
	LN_NOTES_NONE,
	LN_NOTES_LOCKED,			/* somebody has their rows locked */
	LN_NOTES_UNTOLD,			/* standbys have yet to hear of them */
	LN_NOTES_LEFT				/* go on at once */
} LnNotesLeft;

/* where the unblocking of a whole channel stands; zeroed to begin with */
typedef struct LnUnblockScan
{
	int64		oldest;			/* first note of an order_key that was left */
	int64		seq;			/* note of a channel */
	int			lane;
	int64		after;			/* id */
} LnUnblockScan;

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

/* Questions about LINE's counts that are asked at a time. */
#define LN_STATISTICS_MAX		8

typedef struct LnStatistic
{
	char		channel[64];
	char		kind[16];		/* template, flexible: delivered on a day;
								 * engagement: of a unit from day to upto;
								 * units: in use this month */
	char		day[9];			/* yyyymmdd, UTC+9 */
	char		upto[9];		/* engagement */
	char		unit[31];		/* engagement: of [A-Za-z0-9_] */
	char		status[40];		/* LINE's word: ready, unready, ...; or "http
								 * 403", "no answer" */
	int64		number;			/* messages; people who opened; units; -1 =
								 * not told */
	int64		clicked;		/* engagement: people who opened a URL; -1 =
								 * not told */
} LnStatistic;

/*
 * Is the extension there, and which version of its objects? NULL = not there.
 */
extern char *ln_outbox_extension_version(void);

/*
 * The home of this cluster, database and node; 0 = disarmed.  A copy of the
 * server that was armed is disarmed here for good.
 */
extern int64 ln_outbox_take_home(void);

/* All channels / senders, ordered by name. */
extern int	ln_outbox_load_channels(LnChannelRow **rows);
extern int	ln_outbox_load_senders(LnSenderRow **rows);

/* Fill in partial pauses and today's count of channels loaded before. */
extern void ln_outbox_load_flow(LnChannelRow *rows, int n);

/* for qsort and bsearch over LnChannelRow.only_recipients */
extern int	ln_outbox_compare_recipients(const void *a, const void *b);

/* The subject of a template_key or use case; buf has LN_SUBJECT_LEN bytes. */
extern void ln_outbox_subject(char *buf, LineKind kind, const char *name);

/* Fill in the credentials of channels loaded before. */
extern void ln_outbox_load_credentials(LnChannelRow *rows, int n);

/* The lanes that have rows of this home, with their first due time. */
extern int	ln_outbox_scan_due(int64 home, TimestampTz after,
							   LnLaneRow **rows);

/*
 * How far (us) the newest message was queued in the future: the clock was set
 * back since.  0 = it was not.
 */
extern int64 ln_outbox_newest_ahead(void);

/*
 * Rows of this home with ids above *after, at most limit of them, are told of
 * a clock that was set back by so much (us): what was queued before is due as
 * much earlier, and not in the future.  True = there may be more of them.
 */
extern bool ln_outbox_set_back(int64 home, int64 by_us, int64 *after,
							   int limit);

/* When the next waiting row expires; DT_NOEND = none. */
extern TimestampTz ln_outbox_next_expiry(int64 home, TimestampTz low);

/*
 * Texts of a locked message are UTF-8, whatever the database is.
 *
 * Lock rows of n lanes that are due by now and not in flight, lane after lane,
 * each in order; at most limit of all.  Where that many are found, the last
 * lane may have more, and those after it were not looked at.  Nothing is
 * written: decide, then ln_outbox_lease() or ln_outbox_block().
 */
extern int	ln_outbox_lock_due(const LnLaneAsk *asks, int n, int64 home,
							   TimestampTz now, int limit, LnMessage **rows);

/* Claim locked rows: writes their leases. */
extern void ln_outbox_lease(const LnMessage *rows, int n, int64 home,
							uint64 claimer);

/* Makes sure that history has a partition for an id; returns where it ends. */
extern int64 ln_outbox_ensure_history(int64 id);

/* The same for all ids up to this one; does nothing where it is known. */
extern void ln_outbox_cover_history(int64 id);

/*
 * Forget what is remembered of history's partitions: the extension was made
 * anew, or somebody dropped one.
 */
extern void ln_outbox_forget(void);

/*
 * Note the timeline that is sent from, and whether claims wait for a standby.
 * Returns what a promotion left in doubt: messages due up to *before, until
 * *until; DT_NOBEGIN and DT_NOEND = nothing.  *fenced: nothing may be claimed
 * before ln_outbox_take_back() has returned true.
 */
extern void ln_outbox_note_timeline(int64 home, uint32 timeline,
									bool synchronous, int grace_s,
									TimestampTz *before, TimestampTz *until,
									bool *fenced);

/* The worker ends in order: a standby that takes over may know. */
extern void ln_outbox_hand_over(int64 home);

/* Would it, with what waits now?  Then an idle worker stays. */
extern bool ln_outbox_would_hand_over(int64 home);

/* A step of taking that back; true = done. */
extern bool ln_outbox_take_back(int64 home, int grace_s);

/*
 * The grace is over: a step of ending the doubt; true when there is more to
 * do.  *locked: the rest waits for sessions that have it locked.
 */
extern bool ln_outbox_settle_in_doubt(int64 home, bool hold, int step,
									  bool *locked);

/*
 * One part of what time does to history (minutes, -1 = never); true when there
 * is more of it.  *next_at is when to begin again, after the last part.
 */
#define LN_MAINTENANCE_PARTS	8
extern bool ln_outbox_maintain(int part, int retention, int payload_retention,
							   int operations_retention, int budget_ms,
							   TimestampTz *next_at);

/*
 * Let a message that cannot be claimed wait, with the reason, so that those
 * behind it can go.
 */
extern void ln_outbox_quarantine(int64 id, TimestampTz until,
								 const char *reason);

/*
 * Block locked rows, until the head of their order_key is through or the
 * pause of their template or design ends: table unblock brings them back.
 */
extern void ln_outbox_block(const LnMessage *rows, int n);

/*
 * Let locked rows wait a moment, while a later message of their order_key is
 * on the wire.
 */
extern void ln_outbox_delay(const LnMessage *rows, int n);

/* Has anybody objected to being sent notices? */
extern bool ln_outbox_has_suppressed(void);

/* Which of the locked rows are to people who objected. */
extern bool *ln_outbox_find_suppressed(const LnMessage *rows, int n);

/* End locked rows without sending them. */
extern void ln_outbox_suppress(const LnMessage *rows, int n, const char *why);

/* The same, as invalid. */
extern void ln_outbox_reject(const LnMessage *rows, int n, const char *why);

/*
 * Note that what was blocked behind an order_key (NULL: in the channel) may
 * go on.
 */
extern void ln_outbox_note_unblock(const char *channel, const char *order_key);

/*
 * Bring back up to limit rows that were blocked, or moved, and noted.  What
 * was freed by hand has to be known to the standbys first, for grace_s seconds
 * at most.  *rows are the lanes that have something due from first_due on.
 * Caller holds the claim lock.
 */
extern LnNotesLeft ln_outbox_unblock(int limit, int grace_s,
									 LnUnblockScan *scan, LnLaneRow **rows,
									 int *nrows);

/* The channel secret before the last one checks events for so long. */
#define LN_PREVIOUS_SECRET	"7 days"

/*
 * Delete what has had its time, at most limit of each kind: dedup keys, ids of
 * events, days of the budget, channel secrets before the last one.
 */
extern void ln_outbox_sweep_keys(int limit);

/* The state of a message after that step, NULL = it returns to the queue. */
extern const char *ln_outbox_final_state(LineNext next);

/*
 * Record outcomes; n of them under their lease, and count what may have been
 * accepted for the daily budget.  Returns how many leases still held.
 */
extern int	ln_outbox_record(const LnRecord *recs, int n);

/*
 * Count, for the daily budget, messages that LINE accepted or may have
 * accepted today.
 */
extern void ln_outbox_count_sent(const LnRecord *recs, int n);

/* Raises, as a fault of a row: a trigger of somebody else kept it. */
extern void ln_outbox_kept(const char *table);

/*
 * An outcome that the tables refuse goes where nothing refuses it; sqlstate
 * says why.
 */
extern void ln_outbox_set_aside(const LnRecord *rec, int sqlstate);

/*
 * Try again to record what was set aside, so many at a time.  Returns whether
 * there was something; *recorded of that are through.
 */
extern bool ln_outbox_record_set_aside(int64 *recorded);

/* Keep, for health(), why a channel has no access token; "" = it has one. */
extern void ln_outbox_note_token(const char *channel, const char *error);

/*
 * Pause a channel, or an endpoint, template or use case of it. Returns whether
 * it was not paused already.
 */
extern bool ln_outbox_pause(const char *channel, const char *reason);
extern bool ln_outbox_pause_part(const char *channel, const char *scope,
								 const char *subject, const char *reason);

/*
 * End an automatic pause of a channel; an operator's stays. Returns whether
 * there was one.
 */
extern bool ln_outbox_resume(const char *channel);

/*
 * Move rows whose time is over, and parked ones, to history. Returns how many;
 * *next = their last expires_at.
 */
extern int	ln_outbox_expire(int64 home, TimestampTz low, TimestampTz now,
							 int limit, TimestampTz *last);

/* The first of them goes aside, since history refuses it. */
extern void ln_outbox_expire_aside(int64 home, TimestampTz low,
								   TimestampTz now, int sqlstate);

/* Claims of claimers other than "me", of this home. */
extern int	ln_outbox_orphans(int64 home, uint64 me, LnOrphan **rows);

/*
 * Fold up to limit webhook events into the messages they are of; returns how
 * many were taken.  *left: some stay because somebody has their message
 * locked.  *after is where to go on, 0 to begin with: that it is not 0
 * afterwards says that there may be more at once, also after an error.
 */
extern int	ln_outbox_fold(int limit, int64 *after, bool *left);

/* Note, for health(), that the tables refuse to fold this event. */
extern void ln_outbox_refused_event(int64 seq, int sqlstate);

/*
 * Judge the silence after one more minute of accepted messages of each
 * channel;
 * sum up counters.  Returns when to come again, DT_NOBEGIN = at once.
 */
extern TimestampTz ln_outbox_sweep_delivery_timeout(int64 timeout_us);

/*
 * Which of LINE's counts to ask for now (at most LN_STATISTICS_MAX); *next is
 * when to look again, DT_NOEND = not before something is sent.
 */
extern int	ln_outbox_wanted_statistics(int64 home, LnStatistic *counts,
										TimestampTz *next);

/* Keep LINE's answers. */
extern void ln_outbox_record_statistics(const LnStatistic *counts, int n);

/* Insert events that are new; returns how many were. */
extern int	ln_outbox_insert_events(const char *channel, const LnEvent *events,
									int n);

/*
 * Tell listeners that outcomes wait.  False: the NOTIFY queue is so full that
 * they are not told.
 */
extern bool ln_outbox_announce(const char *notify_channel);

/*
 * Log a drain() that made so many attempts; how many messages are due and not
 * sent?
 */
extern int64 ln_outbox_note_drain(int64 sent);

/*
 * State of a message, by a snapshot of its own; NULL = there is none with this
 * id.
 */
extern char *ln_outbox_state(int64 id);

#endif							/* LN_OUTBOX_H */
