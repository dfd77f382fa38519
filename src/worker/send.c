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
#include "guc.h"
#include "worker/credential_check.h"
#include "worker/line_statistics.h"
#include "worker/probe.h"
#include "worker/state.h"
#include "worker/token.h"

/*
 * Without a rate token, look again after so long (us) at the earliest: at
 * 2,000 a second ten tokens have come by then, for one wake-up.
 */
#define TOKEN_NAP_US		5000

/* So many identical answers 400 to one template or design pause it. */
#define REFUSED_RUN			20

/*
 * Longest pause that a Retry-After can order (ms): then one message asks
 * again.
 */
#define MAX_PAUSE_MS		900000

static LnStreak *find_streak(LnChannel *channel, const char *subject);

TimestampTz
ln_worker_retry_at(const LnChannelRow *row, const LnPolicy *policy,
				   int attempt, LineOutcome outcome,
				   TimestampTz now)
{
	uint64		random = 0;
	TimestampTz at;

	(void) ln_random_bytes(&random, sizeof(random));
	at = TimestampTzPlusMilliseconds(now, ln_retry_delay_ms(attempt,
															ln_policy_or(policy->backoff_base_ms, row->backoff_base_ms),
															ln_policy_or(policy->backoff_cap_ms, row->backoff_cap_ms),
															random));
	/* the delivery event may still say that it arrived */
	if (ln_line_may_have_been_sent(outcome))
		at = Max(at, now + ln_policy_or(policy->settle_window_us,
										row->settle_window_us));
	return at;
}

/* An attempt has come to an end: decide, and keep for ln_worker_record(). */
static void
finish(Delivery *t, LineOutcome outcome, bool attempted)
{
	LineCase	c;
	TimestampTz now = GetCurrentTimestamp();
	LnChannel  *channel = t->channel;

	memset(&c, 0, sizeof(c));
	c.outcome = outcome;
	c.attempt = t->attempt;
	c.max_attempts =
		(int) ln_policy_or(t->policy.max_attempts, channel->row.max_attempts);
	c.maybe_sent = t->maybe_sent;
	c.on_unknown = (LineDisposition) ln_policy_or(t->policy.on_unknown,
												  channel->row.on_unknown);
	c.on_server_error =
		(LineDisposition) ln_policy_or(t->policy.on_server_error,
									   channel->row.on_server_error);

	t->outcome = outcome;
	t->next = attempted ? ln_line_decide(&c) : LINE_RETURN;
	if (attempted)
		ln_stats_answer(channel->stats[t->kind], outcome, t->next, t->status,
						now, now - t->sent_at);
	if (attempted && outcome != LINE_ACCEPTED && outcome != LINE_UNREACHABLE)
		ln_stats_error(channel->stats[t->kind], t->status, t->error);
	t->attempted = attempted;
	t->ended_at = now;
	t->retry_at = now;
	if (t->next == LINE_RETRY_LATER)
		t->retry_at = ln_worker_retry_at(&channel->row, &t->policy, t->attempt,
										 outcome, now);
	if (t->state == DELIVERY_CLAIMED)
		channel->queued--;
	free(t->request);
	t->request = NULL;
	t->state = DELIVERY_DONE;
	t->record_failures = 0;
	t->record_at = 0;
	W.record_at = 0;
	W.done[W.ndone++] = (int) (t - W.deliveries);
	if (W.first_done_at == 0)
		W.first_done_at = now;
	if (t->ordered)
		W.record_delay_us = RECORD_DELAY_MIN_US;
}

/* Hand claimed messages to the HTTP client as fast as LINE's rate allows. */
void
ln_worker_send(void)
{
	int			n = W.nclaimed;
	TimestampTz now = GetCurrentTimestamp();

	W.round++;
	W.token_at = DT_NOEND;
	for (int i = 0; i < n; i++)
	{
		Delivery   *t = &W.deliveries[W.claimed[W.claimed_head]];
		LnChannel  *channel = t->channel;
		HttpRequest req;
		char		url[512];
		char		tag_header[64 + LINE_TAG_SIZE];
		char		tag[LINE_TAG_SIZE];
		const char *headers[3];
		int64		wait_ns;
		int			place = W.claimed[W.claimed_head];

		t->request_id[0] = t->error[0] = '\0';
		t->status = 0;

		/*
		 * paused, disarmed, out of order or expired since it was claimed:
		 * back, as it came
		 */
		if (!ln_guc_enabled || t->expires_at <= now ||
			ln_worker_closed_until(channel, t->kind, now) != 0 ||
			ln_channel_part_paused(channel, t->kind, t->subject) ||
			ln_channel_use_case_paused(channel, t->use_case))
		{
			W.claimed_head = (W.claimed_head + 1) % W.ndeliveries;
			W.nclaimed--;

			finish(t, LINE_NOT_SENT, false);
			continue;
		}

		/* must wait: to the end of the ring, another channel may be free */
		wait_ns = 0;
		if (channel->dry[t->kind] == W.round ||
			ln_window_room(&channel->window, channel->sent,
						   ln_monotonic_ns() / 1000000) == 0 ||
			ln_shmem_rate_take(channel->rate_key[t->kind],
							   channel->row.rate_limit, 1, &wait_ns) == 0)
		{
			channel->dry[t->kind] = W.round;

			if (wait_ns > 0)
				W.token_at =
					Min(W.token_at, now + Max(wait_ns / 1000, TOKEN_NAP_US));
			W.token_at = Min(W.token_at, t->expires_at);
			W.claimed_head = (W.claimed_head + 1) % W.ndeliveries;
			W.claimed[(W.claimed_head + W.nclaimed - 1) % W.ndeliveries] =
				place;
			continue;
		}
		W.claimed_head = (W.claimed_head + 1) % W.ndeliveries;
		W.nclaimed--;
		ln_breaker_started(&channel->breaker);

		ln_line_tag(tag, t->id, t->attempt, t->token);
		snprintf(tag_header, sizeof(tag_header), "X-Line-Delivery-Tag: %s",
				 tag);
		headers[0] = "Content-Type: application/json";
		headers[1] = ln_token_header(channel->token, GetCurrentTimestamp());
		headers[2] = tag_header;
		snprintf(url, sizeof(url), "%s%s", channel->row.api_base,
				 ln_line_path(t->kind));
		memset(&req, 0, sizeof(req));
		req.tag = (uint64) place;
		req.method = "POST";
		req.url = url;
		req.headers = headers;
		req.nheaders = lengthof(headers);
		req.body = t->request;
		req.body_len = t->request_len;
		req.connect_timeout_ms = channel->row.connect_timeout_ms;
		req.total_timeout_ms = channel->row.total_timeout_ms;
		req.ca_file = channel->row.ca_file;
		req.proxy = channel->row.proxy;
		req.journal = &t->journal->asked;
		t->token_generation = ln_token_generation(channel->token);
		t->sent_at = GetCurrentTimestamp();
		ln_stats_sent(channel->stats[t->kind]);
		if (t->request == NULL)
			strlcpy(t->error, "out of memory", sizeof(t->error));
		if (t->request == NULL ||
			!ln_http_add(W.http, &req, t->error, sizeof(t->error)))
		{
			ln_breaker_failure(&channel->breaker, ln_monotonic_ns() / 1000000);
			finish(t, LINE_NOT_SENT, true);
			continue;
		}
		channel->queued--;
		channel->sent++;
		free(t->request);
		t->request = NULL;
		t->state = DELIVERY_SENT;
		W.nsent++;
	}
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
describe(Pause *p, const Delivery *t, const char *what)
{
	snprintf(p->reason, sizeof(p->reason),
			 "%s %d%s%s (message " INT64_FORMAT "%s%s)", what, t->status,
			 t->error[0] ? ": " : "", t->error, t->id,
			 t->request_id[0] ? ", request " : "", t->request_id);
}

/* 401: the token is bad, for everything that the channel sends. */
static void
pause_channel(LnChannel *channel, const Delivery *t)
{
	Pause		p = {.channel = channel->row.name};

	if (channel->row.paused)
		return;
	channel->row.paused = true; /* at once, for what is claimed */
	ln_credential_check_schedule(channel);
	channel->refused_token = ln_token_fingerprint(channel->token);
	describe(&p, t, "LINE answered");
	ereport(WARNING,
			(errmsg("paused channel \"%s\": %s", channel->row.name, p.reason),
			 errhint("It goes on by itself when LINE takes the credential again, or another one is set; or SELECT line_notify.resume('%s');",
					 channel->row.name)));
	if (!ln_phase("pausing a channel", pause_phase, &p))
		channel->row.paused = false;	/* the next answer tries again */
}

/*
 * 403, 404 and their like: an endpoint that the channel may not use, or a
 * wrong address.
 */
static void
pause_endpoint(LnChannel *channel, const Delivery *t)
{
	Pause		p = {
		.channel = channel->row.name,
		.scope = "endpoint",
		.subject = t->kind == LINE_TEMPLATE ? "template" : "flexible"
	};

	if (channel->row.paused || channel->row.endpoint_paused[t->kind])
		return;
	channel->row.endpoint_paused[t->kind] = true;
	describe(&p, t, "LINE answered");
	ereport(WARNING,
			(errmsg("paused %s messages of channel \"%s\": %s", p.subject,
					channel->row.name, p.reason),
			 errhint("Fix the cause, then SELECT line_notify.resume('%s');",
					 channel->row.name)));
	if (!ln_phase("pausing an endpoint", pause_phase, &p))
		channel->row.endpoint_paused[t->kind] = false;
}

/*
 * A template or design that LINE refuses again and again in the same words is
 * wrong itself; its other messages wait until somebody has looked at it.
 */
static void
count_refusal(LnChannel *channel, const Delivery *t)
{
	LnStreak   *run = find_streak(channel, t->subject);
	uint32		error =
	hash_bytes((const unsigned char *) t->error, strlen(t->error));
	Pause		p;

	if (run == NULL)
	{
		run = &channel->runs[channel->next_run];
		channel->next_run = (channel->next_run + 1) % LN_STREAKS;
		strlcpy(run->subject, t->subject, sizeof(run->subject));
		run->length = 0;
	}
	if (run->length > 0 && run->error != error)
		run->length = 0;
	run->error = error;
	if (++run->length < REFUSED_RUN ||
		ln_channel_part_paused(channel, t->kind, t->subject))
		return;
	run->length = 0;

	p.channel = channel->row.name;
	p.scope = t->kind == LINE_TEMPLATE ? "template" : "design";
	p.subject = t->subject + 1;
	describe(&p, t,
			 psprintf("LINE refused %d messages in a row with", REFUSED_RUN));
	ereport(WARNING,
			(errmsg("paused %s \"%s\" of channel \"%s\": %s",
					t->kind == LINE_TEMPLATE ? "template"
					: "flexible messages of use case",
					p.subject, channel->row.name, p.reason),
			 errhint("Fix the cause, then SELECT line_notify.resume('%s');",
					 channel->row.name)));
	(void) ln_phase("pausing a template", pause_phase, &p);
}

static LnStreak *
find_streak(LnChannel *channel, const char *subject)
{
	for (int i = 0; i < LN_STREAKS; i++)
		if (strcmp(channel->runs[i].subject, subject) == 0)
			return &channel->runs[i];
	return NULL;
}

/* Take the finished deliveries from the HTTP client. */
void
ln_worker_harvest(void)
{
	HttpResult	res;

	while (ln_http_next(W.http, &res))
	{
		Delivery   *t;
		LnChannel  *channel;
		LineOutcome outcome =
		ln_line_outcome(res.verdict, res.status, res.retry_after_ms >= 0);
		int64		now_ms = ln_monotonic_ns() / 1000000;
		LnStreak   *run;

		if (res.tag & LN_TAG_SIDE)
		{
			if (res.tag & LN_TAG_TOKEN)
				ln_token_result(W.channels, W.nchannels, &res);
			else if (res.tag & LN_TAG_CREDENTIAL_CHECK)
				ln_credential_check_result(W.channels, W.nchannels, &res);
			else if (res.tag & LN_TAG_PROBE)
				ln_probe_result(W.channels, W.nchannels, &res);
			else
				ln_line_statistics_result(&res);
			continue;
		}
		t = &W.deliveries[res.tag];
		channel = t->channel;
		W.nsent--;
		if (res.verdict == HTTP_STATUS)
			ln_window_answered(&channel->window, channel->sent,
							   channel->row.max_in_flight,
							   GetCurrentTimestamp() - t->sent_at, now_ms);
		else if (!res.aborted)
			ln_window_lost(&channel->window);
		channel->sent--;
		channel->probe.good = false;
		t->status = res.status;
		strlcpy(t->request_id, res.request_id, sizeof(t->request_id));
		if (res.verdict == HTTP_STATUS)
		{
			t->journal->status = (uint16) Min(Max(res.status, 0), 999);
			t->journal->has_retry_after = res.retry_after_ms >= 0;
			pg_write_barrier();
			t->journal->complete = 1;
		}
		if (outcome != LINE_ACCEPTED && res.verdict == HTTP_STATUS)
			ln_line_error_text(res.body, res.body_len, t->error,
							   sizeof(t->error));
		if (t->error[0] == '\0' && outcome != LINE_ACCEPTED)
			strlcpy(t->error, res.error, sizeof(t->error));

		switch (outcome)
		{
			case LINE_ACCEPTED:
			case LINE_UNREACHABLE:
			case LINE_REFUSED:
				channel->throttles = 0;
				ln_breaker_success(&channel->breaker);
				ln_token_proved(channel->token, t->token_generation);
				ln_credential_check_proved(channel);
				if (res.status == 400)
					count_refusal(channel, t);
				else if ((run = find_streak(channel, t->subject)) != NULL)
					run->length = 0;
				break;
			case LINE_THROTTLED:
				break;
			case LINE_UNAUTHORIZED:
				ln_breaker_neutral(&channel->breaker);
				if (!ln_token_refused(channel->token, t->token_generation))
					pause_channel(channel, t);
				break;
			case LINE_MISCONFIGURED:
				ln_breaker_neutral(&channel->breaker);
				pause_endpoint(channel, t);
				break;
			case LINE_SERVER_ERROR:
			case LINE_NOT_SENT:
			case LINE_AMBIGUOUS:
				if (res.aborted)
					ln_breaker_neutral(&channel->breaker);
				else
					ln_breaker_failure(&channel->breaker, now_ms);
				break;
		}
		if (res.status == 429 || res.status == 503)
		{
			/* as LINE says, else 1 s doubling to a minute, for all workers */
			int64		pause_ms = Min(res.retry_after_ms, MAX_PAUSE_MS);

			ln_breaker_neutral(&channel->breaker);
			if (pause_ms < 0)
				pause_ms = 1000 << Min(channel->throttles, 6);
			/* one answer of a burst counts */
			if (ln_shmem_rate_blocked_until(channel->rate_key[t->kind]) == 0)
				channel->throttles++;
			ln_shmem_rate_block(channel->rate_key[t->kind],
								channel->row.rate_limit, pause_ms * 1000000);
		}
		finish(t, outcome, true);
	}
}

/* Show the breakers in view stats; resume() closes them. */
void
ln_worker_publish_breakers(void)
{
	for (int i = 0; i < W.nchannels; i++)
	{
		LnChannel  *c = W.channels[i];

		for (int k = 0; k < 2; k++)
		{
			LnStats    *s = c->stats[k];

			if (s == NULL)
				continue;
			if (pg_atomic_read_u32(&s->resumed) != 0 &&
				pg_atomic_exchange_u32(&s->resumed, 0) != 0)
				ln_breaker_success(&c->breaker);
			if (pg_atomic_read_u32(&s->breaker) == (uint32) c->breaker.state)
				continue;
			pg_atomic_write_u64(&s->breaker_until,
								(uint64) (GetCurrentTimestamp() +
										  (c->breaker.until_ms -
										   ln_monotonic_ns() / 1000000) *
										  1000));
			pg_atomic_write_u32(&s->breaker, (uint32) c->breaker.state);
		}
	}
}

void
ln_worker_send_nothing(void)
{
	while (W.nclaimed > 0)
	{
		Delivery   *t = &W.deliveries[W.claimed[W.claimed_head]];

		W.claimed_head = (W.claimed_head + 1) % W.ndeliveries;
		W.nclaimed--;
		finish(t, LINE_NOT_SENT, false);
	}
}
