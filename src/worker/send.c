/*-------------------------------------------------------------------------
 *
 * send.c
 *		Sending: deliveries become requests at LINE's rate, and answers become
 *		outcomes.
 *
 * No transaction is open here, except to pause what LINE refuses: a fault that
 * the next message would meet too must not use up the queue.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "base/crypto.h"
#include "base/retry.h"
#include "db/trace.h"
#include "server/clock.h"
#include "worker/credential_check.h"
#include "worker/questions.h"
#include "worker/state.h"
#include "worker/token.h"

/*
 * Without a rate token, look again after so long (us) at the earliest: at
 * 2,000 a second ten tokens have come by then, for one wake-up.
 */
#define TOKEN_NAP_US		5000

/* So many identical answers 400 to one template or design pause it. */
#define REFUSED_STREAK		20

/*
 * So many identical 4xx that no message can be the cause of (409, 418, 451,
 * 499 ...) pause the endpoint.
 */
#define ODD_STREAK			5

/*
 * Longest pause that a Retry-After can order (ms): then one message asks
 * again.
 */
#define MAX_PAUSE_MS		900000

/*
 * LINE's monthly limit is reached: one message asks again after so long (ms).
 * The plan may have been raised; the month ends at midnight, UTC+9.
 */
#define LIMIT_PAUSE_MS		3600000

/* A pause that could not be written down ends after so long (ms). */
#define PAUSE_RETRY			10000

static LnStreak *find_streak(LnChannel *channel, const char *subject);

TimestampTz
ln_worker_retry_at(const LnChannelRow *row, const LnPolicy *policy,
				   int attempt, LineOutcome outcome,
				   TimestampTz now)
{
	uint64		random = 0;
	int64		ms;
	TimestampTz at;

	(void) ln_random_bytes(&random, sizeof(random));
	ms = ln_retry_delay_ms(attempt,
						   ln_policy_or(policy->backoff_base_ms,
										row->backoff_base_ms),
						   ln_policy_or(policy->backoff_cap_ms,
										row->backoff_cap_ms),
						   random);
	at = TimestampTzPlusMilliseconds(now, ms);
	/* the delivery event may still say that it arrived */
	if (ln_line_may_have_been_sent(outcome))
		at = Max(at, now + ln_policy_or(policy->settle_window_us,
										row->settle_window_us));
	return at;
}

/*
 * An attempt has come to an end: decide, and keep for ln_worker_record().  Its
 * answer has made a pause until pause_ns (monotonic clock), 0 = none.
 */
static void
finish(Delivery *d, LineOutcome outcome, bool attempted, int64 pause_ns)
{
	LineCase	c;
	TimestampTz now = GetCurrentTimestamp();
	LnChannel  *channel = d->channel;

	memset(&c, 0, sizeof(c));
	c.outcome = outcome;
	c.attempt = d->attempt;
	c.max_attempts =
		(int) ln_policy_or(d->policy.max_attempts, channel->row.max_attempts);
	c.maybe_sent = d->maybe_sent;
	c.on_unknown = (LineDisposition) ln_policy_or(d->policy.on_unknown,
												  channel->row.on_unknown);
	c.on_server_error =
		(LineDisposition) ln_policy_or(d->policy.on_server_error,
									   channel->row.on_server_error);

	d->outcome = outcome;
	d->next_step = attempted ? ln_line_decide(&c) : LINE_RETURN;
	ln_trace("answered", INT64_FORMAT " " UINT64_FORMAT " %s %d %s %d %d %d",
			 d->id, d->token, ln_line_outcome_name(outcome), d->status,
			 ln_trace_next(d->next_step), attempted, d->journal->asked,
			 d->journal->complete);
	if (attempted)
		ln_stats_answer(channel->stats[d->kind], outcome, d->next_step,
						d->status, now, now - d->sent_at, pause_ns);
	/* what is proved not sent would look, after a crash, as if perhaps sent */
	if (attempted && outcome != LINE_NOT_SENT)
		ln_journal_ended(d->journal, now, d->error);
	if (attempted && outcome != LINE_ACCEPTED && outcome != LINE_UNREACHABLE)
		ln_stats_error(channel->stats[d->kind], d->status, d->error);
	d->attempted = attempted;
	d->ended_at = now;
	d->retry_at = now;
	if (d->next_step == LINE_RETRY_LATER)
		d->retry_at = ln_worker_retry_at(&channel->row, &d->policy, d->attempt,
										 outcome, now);
	free(d->request);
	d->request = NULL;
	d->record_failures = 0;
	d->record_at = 0;
	ln_delivery_done(d);
	ln_worker_regate(channel);
	if (d->ordered)
		ln_worker_record_soon();
}

/* Not sent, and not tried: it goes back as it came. */
static void
give_back(Delivery *d)
{
	d->status = 0;
	d->request_id[0] = d->error[0] = '\0';
	finish(d, LINE_NOT_SENT, false, 0);
}

/* Paused or expired since it was claimed. */
static bool
may_not_go(const Delivery *d)
{
	return d->expires_at <= W.now ||
		ln_channel_part_paused(d->channel, d->kind, d->subject) ||
		ln_channel_use_case_paused(d->channel, d->use_case);
}

/* The HTTP client hands bytes of a request to the network: see http.h. */
static void
trace_bytes(uint64 tag, size_t sent, size_t of)
{
	const Delivery *d = ln_delivery((int) tag);
	const LnChannelRow *row = &d->channel->row;

	if (sent == 0)
		ln_trace_now("asked", INT64_FORMAT " " UINT64_FORMAT " %d %d %d %d",
					 d->id, d->token, d->journal->asked,
					 (int) ln_policy_or(d->policy.on_unknown, row->on_unknown),
					 (int) ln_policy_or(d->policy.on_server_error,
										row->on_server_error),
					 (int) ln_policy_or(d->policy.max_attempts,
										row->max_attempts));
	else if (sent == of)
		ln_trace("sent", INT64_FORMAT " " UINT64_FORMAT, d->id, d->token);
}

/* The first of a queue goes out, or fails to. */
static void
send_first(LnChannel *channel, Delivery *d)
{
	HttpRequest req;
	char		url[512];
	char		tag_header[64 + LINE_TAG_SIZE];
	char		tag[LINE_TAG_SIZE];
	const char *headers[4];

	d->status = 0;
	d->request_id[0] = d->error[0] = '\0';
	ln_breaker_started(&channel->breaker);

	ln_line_tag(tag, d->id, d->attempt, d->token);
	snprintf(tag_header, sizeof(tag_header), "X-Line-Delivery-Tag: %s", tag);
	headers[0] = "Content-Type: application/json";
	headers[1] = ln_token_header(channel->token, W.now);
	headers[2] = tag_header;
	headers[3] = LINE_USER_AGENT;
	snprintf(url, sizeof(url), "%s%s", channel->row.api_base,
			 ln_line_path(d->kind));
	memset(&req, 0, sizeof(req));
	req.tag = (uint64) ln_delivery_no(d);
	req.method = "POST";
	req.url = url;
	req.headers = headers;
	req.nheaders = lengthof(headers);
	req.body = d->request;
	req.body_len = d->request_len;
	req.connect_timeout_ms = channel->row.connect_timeout_ms;
	req.total_timeout_ms = channel->row.total_timeout_ms;
	req.ca_file = channel->row.ca_file;
	req.proxy = channel->row.proxy;
	req.journal = &d->journal->asked;
	req.watch = ln_trace_on() ? trace_bytes : NULL;
	d->token_generation = ln_token_generation(channel->token);
	d->sent_at = GetCurrentTimestamp();
	d->journal->sent_at = d->sent_at;
	ln_stats_sent(channel->stats[d->kind]);
	ln_delivery_sent(d);
	if (d->request == NULL)
		strlcpy(d->error, "out of memory", sizeof(d->error));
	if (d->request == NULL ||
		!ln_http_add(W.http, &req, d->error, sizeof(d->error)))
	{
		ln_breaker_failure(&channel->breaker, ln_monotonic_ns() / 1000000);
		finish(d, LINE_NOT_SENT, true, 0);
		return;
	}
	free(d->request);
	d->request = NULL;
	ln_worker_regate(channel);
}

/* What is in hand for an endpoint goes out, waits its turn, or goes back. */
static bool
send_queue(LnChannel *channel, LineKind kind)
{
	LnQueue    *q = &channel->claimed[kind];
	bool		progress = false;
	Delivery   *d;

	if (q->n == 0)
		return false;
	if (q->expires_at <= W.now)
		ln_deliveries_remove(channel, kind, may_not_go, give_back);
	channel->rate_until[kind] = 0;
	ln_worker_regate(channel);
	while ((d = ln_delivery_first(channel, kind)) != NULL)
	{
		LnVerdict	v = ln_worker_gate(channel, kind);
		int64		wait_ns = 0;

		if (!ln_gate_may_claim(v))
		{
			/* closed since it was claimed: all go back as they came */
			ln_deliveries_remove(channel, kind, NULL, give_back);
			return true;
		}
		if (!ln_gate_may_send(v))
			break;				/* it stays in hand */
		if (may_not_go(d))
		{
			ln_deliveries_remove(channel, kind, may_not_go, give_back);
			progress = true;
			continue;
		}
		if (ln_shmem_rate_take(channel->rate_key[kind],
							   channel->row.rate_limit, 1, &wait_ns) == 0)
		{
			channel->rate_until[kind] =
				W.now + Max(wait_ns / 1000, TOKEN_NAP_US);
			ln_worker_regate(channel);
			break;
		}
		send_first(channel, d);
		progress = true;
	}
	return progress;
}

/* Hand claimed messages to the HTTP client as fast as LINE's rate allows. */
LnTaskResult
ln_worker_send(TimestampTz *again)
{
	static int	next_channel = 0;	/* round robin, where rates are shared */
	bool		progress = false;

	for (int k = 0; k < W.nchannels; k++)
	{
		LnChannel  *c = W.channels[(next_channel + k) % W.nchannels];

		for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
			if (send_queue(c, kind))
				progress = true;
	}
	next_channel = (next_channel + 1) % Max(W.nchannels, 1);
	return progress ? LN_TASK_PROGRESS : LN_TASK_IDLE;
}

TimestampTz
ln_worker_send_due(void)
{
	TimestampTz due = DT_NOEND;

	if (ln_deliveries_claimed() == 0)
		return DT_NOEND;
	for (int i = 0; i < W.nchannels; i++)
		for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
		{
			LnChannel  *c = W.channels[i];
			LnVerdict	v;

			if (c->claimed[kind].n == 0)
				continue;
			v = ln_worker_gate(c, kind);
			due = Min(due, c->claimed[kind].expires_at);
			/* what may not go goes back at once */
			if (!ln_gate_may_claim(v) || ln_gate_may_send(v))
				return DT_NOBEGIN;
			due = Min(due, v.until);
		}
	return due;
}

/* A fault that others would meet too: stop them, say why. */
typedef struct Pause
{
	const char *channel;
	const char *scope;			/* NULL = the whole channel */
	const char *subject;
	char		reason[400];
} Pause;

static void
pause_phase(void *arg)
{
	Pause	   *p = (Pause *) arg;

	if (p->scope == NULL)
		(void) ln_outbox_pause(p->channel, p->reason);
	else
		(void) ln_outbox_pause_part(p->channel, p->scope, p->subject,
									p->reason);
}

static void
describe(Pause *p, const Delivery *d, const char *what)
{
	snprintf(p->reason, sizeof(p->reason),
			 "%s %d%s%s (message " INT64_FORMAT "%s%s)", what, d->status,
			 d->error[0] ? ": " : "", d->error, d->id,
			 d->request_id[0] ? ", request " : "", d->request_id);
}

/*
 * Write a pause down.  One that cannot be holds here all the same, or every
 * answer would try again; later what the tables say counts once more.  Returns
 * whether to log it.
 */
static bool
note_pause(const char *activity, Pause *p)
{
	int64		skipped;

	if (ln_phase(activity, pause_phase, p))
		return true;
	ln_tasks_by(TASK_CONFIGURE,
				TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
											PAUSE_RETRY));
	return ln_worker_may_log(LOG_PAUSE, &skipped);
}

/* 401: the token is bad, for everything that the channel sends. */
static void
pause_channel(LnChannel *channel, const Delivery *d)
{
	Pause		p = {.channel = channel->row.name};

	if (channel->row.paused)
		return;
	/* at once, for what is claimed */
	channel->row.paused = channel->row.paused_automatically = true;
	ln_worker_regate(channel);
	ln_credential_check_schedule(channel);
	channel->refused_token = ln_token_fingerprint(channel->token);
	describe(&p, d, "LINE answered");
	if (note_pause("pausing a channel", &p))
		ereport(WARNING,
				(errmsg("paused channel \"%s\": %s", channel->row.name,
						p.reason),
				 errhint("It goes on by itself when LINE takes the credential again, or another one is set; or SELECT line_notify.resume('%s');",
						 channel->row.name)));
}

/*
 * 403, 404 and their like: an endpoint that the channel may not use, or a
 * wrong address.
 */
static void
pause_endpoint(LnChannel *channel, const Delivery *d)
{
	Pause		p = {
		.channel = channel->row.name,
		.scope = "endpoint",
		.subject = d->kind == LINE_TEMPLATE ? "template" : "flexible"
	};

	if (channel->row.paused || channel->row.endpoint_paused[d->kind])
		return;
	channel->row.endpoint_paused[d->kind] = true;
	ln_worker_regate(channel);
	describe(&p, d, "LINE answered");
	if (note_pause("pausing an endpoint", &p))
		ereport(WARNING,
				(errmsg("paused %s messages of channel \"%s\": %s", p.subject,
						channel->row.name, p.reason),
				 errhint("Fix the cause, then SELECT line_notify.resume('%s');",
						 channel->row.name)));
}

/*
 * A template or design that LINE refuses again and again in the same words is
 * wrong itself; its other messages wait until somebody has looked at it.
 */
static void
count_refusal(LnChannel *channel, const Delivery *d)
{
	LnStreak   *streak = find_streak(channel, d->subject);
	uint32		error =
	hash_bytes((const unsigned char *) d->error, strlen(d->error));
	Pause		p;

	if (streak == NULL)
	{
		streak = &channel->streaks[channel->next_streak];
		channel->next_streak = (channel->next_streak + 1) % LN_STREAKS;
		strlcpy(streak->subject, d->subject, sizeof(streak->subject));
		streak->length = 0;
	}
	if (streak->length > 0 && streak->error != error)
		streak->length = 0;
	streak->error = error;
	if (++streak->length < REFUSED_STREAK ||
		ln_channel_part_paused(channel, d->kind, d->subject))
		return;
	streak->length = 0;

	p.channel = channel->row.name;
	p.scope = d->kind == LINE_TEMPLATE ? "template" : "design";
	p.subject = d->subject + 1;
	describe(&p, d,
			 psprintf("LINE refused %d messages in a row with",
					  REFUSED_STREAK));
	if (note_pause("pausing a template", &p))
		ereport(WARNING,
				(errmsg("paused %s \"%s\" of channel \"%s\": %s",
						d->kind == LINE_TEMPLATE ? "template"
						: "flexible messages of use case",
						p.subject, channel->row.name, p.reason),
				 errhint("Fix the cause, then SELECT line_notify.resume('%s');",
						 channel->row.name)));
}

/*
 * An answer that LINE does not document: something between us and LINE gives
 * it, or LINE to everybody.  A few in a row, of whatever status, and the
 * others wait.
 */
static void
count_odd(LnChannel *channel, const Delivery *d)
{
	int			kind = d->kind;

	if (++channel->odd_length[kind] < ODD_STREAK)
		return;
	channel->odd_length[kind] = 0;
	pause_endpoint(channel, d);
}

/* Does LINE give this status to a message for what is in it? */
static bool
is_about_message(int status)
{
	return status == 400 || status == 413 || status == 422;
}

static LnStreak *
find_streak(LnChannel *channel, const char *subject)
{
	for (int i = 0; i < LN_STREAKS; i++)
		if (strcmp(channel->streaks[i].subject, subject) == 0)
			return &channel->streaks[i];
	return NULL;
}

/*
 * Does this 429 say that LINE's monthly limit is reached?  LINE has one status
 * for both, and only its words tell them apart: "You have reached your monthly
 * limit." (Messaging API reference, error messages).
 */
static bool
is_monthly_limit(const HttpResult *res, const Delivery *d)
{
	return res->status == 429 && res->retry_after_ms < 0 &&
		strstr(d->error, "monthly limit") != NULL;
}

/*
 * LINE says wait: for all workers.  Returns until when (monotonic clock, ns);
 * 0 = they wait already for longer.
 */
static int64
wait_as_told(LnChannel *channel, const HttpResult *res, const Delivery *d)
{
	int64		pause_ms = Min(res->retry_after_ms, MAX_PAUSE_MS);
	uint64		key = channel->rate_key[d->kind];
	int64		before = ln_shmem_rate_blocked_until(key);
	int64		until;

	ln_breaker_neutral(&channel->breaker);
	if (is_monthly_limit(res, d))
	{
		channel->limit_until = TimestampTzPlusMilliseconds(W.now,
														   LIMIT_PAUSE_MS);
		pause_ms = LIMIT_PAUSE_MS;
	}
	else if (pause_ms < 0)		/* 1 s, doubling to a minute */
		pause_ms = 1000 << Min(channel->throttles, 6);
	/* one answer of a burst counts */
	if (before == 0)
		channel->throttles++;
	ln_shmem_rate_block(key, channel->row.rate_limit, pause_ms * 1000000);
	until = ln_shmem_rate_blocked_until(key);
	return until > before ? until : 0;
}

/*
 * What an answer, or the lack of one, says of the channel.  The lack of one
 * says nothing when a request that was sent later has been answered (is_late).
 * Returns the end of the pause that it has made, see wait_as_told().
 */
static int64
learn(LnChannel *channel, const HttpResult *res, const Delivery *d,
	  LineOutcome outcome, bool is_late)
{
	LnStreak   *streak;

	switch (outcome)
	{
		case LINE_ACCEPTED:
		case LINE_UNREACHABLE:
		case LINE_REFUSED:
			channel->throttles = 0;
			channel->limit_until = 0;
			ln_breaker_success(&channel->breaker);
			ln_token_proved(channel->token, d->token_generation);
			ln_credential_check_proved(channel);
			if (outcome == LINE_REFUSED && !is_about_message(res->status))
				count_odd(channel, d);
			else
				channel->odd_length[d->kind] = 0;
			if (res->status == 400)
				count_refusal(channel, d);
			else if ((streak = find_streak(channel, d->subject)) != NULL)
				streak->length = 0;
			break;
		case LINE_THROTTLED:
			break;
		case LINE_UNAUTHORIZED:
			ln_breaker_neutral(&channel->breaker);
			if (!ln_token_refused(channel->token, d->token_generation))
				pause_channel(channel, d);
			break;
		case LINE_MISCONFIGURED:
			ln_breaker_neutral(&channel->breaker);
			pause_endpoint(channel, d);
			break;
		case LINE_SERVER_ERROR:
		case LINE_NOT_SENT:
		case LINE_AMBIGUOUS:
			if (res->aborted ||
				(is_late && outcome != LINE_SERVER_ERROR))
				ln_breaker_neutral(&channel->breaker);
			else
				ln_breaker_failure(&channel->breaker,
								   ln_monotonic_ns() / 1000000);
			break;
	}
	if (res->status == 429 || res->status == 503)
		return wait_as_told(channel, res, d);
	return 0;
}

/* Take the answers from the HTTP client. */
void
ln_worker_harvest(void)
{
	HttpResult	res;

	while (ln_http_next(W.http, &res))
	{
		Delivery   *d;
		LnChannel  *channel;
		bool		is_late;
		LineOutcome outcome =
		ln_line_outcome(res.verdict, res.status, res.retry_after_ms >= 0);

		if (res.tag & LN_TAG_QUESTION)
		{
			ln_question_answered(&res);
			continue;
		}
		d = ln_delivery((int) res.tag);
		channel = d->channel;
		is_late = d->sent_at < channel->answered_sent_at;
		if (res.verdict == HTTP_STATUS)
		{
			if (!d->overdue)
				ln_window_answered(&channel->window,
								   ln_deliveries_current(channel),
								   channel->row.max_in_flight,
								   GetCurrentTimestamp() - d->sent_at,
								   ln_monotonic_ns() / 1000000);
			channel->answered_sent_at =
				Max(channel->answered_sent_at, d->sent_at);
		}
		else if (!res.aborted && !is_late)
			ln_window_lost(&channel->window);
		channel->probe.good = false;
		d->status = res.status;
		strlcpy(d->request_id, res.request_id, sizeof(d->request_id));
		if (res.verdict == HTTP_STATUS)
			ln_journal_answered(d->journal, res.status,
								res.retry_after_ms >= 0, d->request_id);
		if (outcome != LINE_ACCEPTED && res.verdict == HTTP_STATUS)
			ln_line_error_text(res.body, res.body_len, d->error,
							   sizeof(d->error));
		if (d->error[0] == '\0' && outcome != LINE_ACCEPTED)
			strlcpy(d->error, res.error, sizeof(d->error));
		finish(d, outcome, true, learn(channel, &res, d, outcome, is_late));
	}
}

void
ln_worker_send_nothing(void)
{
	for (int i = 0; i < W.nchannels; i++)
		for (LineKind kind = LINE_TEMPLATE; kind <= LINE_FLEXIBLE; kind++)
			ln_deliveries_remove(W.channels[i], kind, NULL, give_back);
}
