/*-------------------------------------------------------------------------
 *
 * agenda_sim_test.c
 *		The worker's timing without a server: the real gate, agenda, lanes,
 *		token timers and breakers, in a world with a virtual clock that does to
 *		them what the world does.
 *
 * Proves, over random sequences of events:
 *
 *	held		nothing is sent that an obstacle holds, as far as it is known
 *	sent		what is due and that nothing holds is sent within a bound
 *	noticed		so is what an obstacle held, once that has ended: each kind of
 *				obstacle has a bound of its own
 *	no spin		the loop does not turn without progress
 *	idle		a worker with nothing to do makes no turn
 *	drain		drain() comes back only when nothing moves any more
 *
 * What holds a message is known here from the world itself, not from the gate.
 *
 * SIM_STEPS (default 1,000,000) events are played, SIM_SEED seeds the first
 * sequence; a failure names the seed and the step of its sequence.
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/agenda.h"
#include "base/breaker.h"
#include "base/gate.h"
#include "base/lane.h"
#include "base/token_timer.h"
#include "tap.h"

#define MS		INT64_C(1000)
#define SECOND	(1000 * MS)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)

#define CHANNELS	3
#define ROWS		24
#define WINDOW		4			/* requests of a channel on the wire */
#define TIMEOUT		(20 * SECOND)

/* Turns at one time of the clock that a worker may need. */
#define MAX_TURNS	12

typedef enum RowState
{
	FREE,
	WAITING,
	CLAIMED,
	ON_THE_WIRE,
	ANSWERED
} RowState;

typedef struct Row
{
	RowState	state;
	int64_t		due;
	int64_t		answer_at;
	bool		answer_good;
	int64_t		free_since;		/* since then (mono) the world holds it no
								 * more; LN_NEVER = it does */
	int64_t		bound;			/* then it goes within this */
} Row;

typedef struct Channel
{
	/* the world */
	bool		paused;
	bool		net_up;
	bool		file_there;
	bool		issuer_up;
	int64_t		quiet_until;	/* 0 = not quiet */
	int64_t		locked_until;	/* claims fail */
	Row			rows[ROWS];

	/* what the worker knows */
	bool		known_paused;
	LnTokenTimer token;
	int64_t		token_answer_at;
	bool		token_answer_good;
	Breaker		breaker;
	bool		probe_wanted;
	bool		probe_good;
	int64_t		probe_answer_at;	/* LN_NEVER = none is on its way */
	bool		probe_answer_good;
	int64_t		wait_until;		/* 429 */
	int64_t		backoff_until;
	int			failures;
	LnLane		lane;
} Channel;

enum
{
	T_CONFIGURE,
	T_RECORD,
	T_CLAIM,
	T_SCAN,
	T_QUESTIONS,
	T_SEND,
	NTASKS
};

static Channel channels[CHANNELS];
static LnTask tasks[NTASKS];
static int64_t now;
static int64_t mono;			/* microseconds; the clock that nobody sets */
static bool enabled;
static bool known_enabled;
static int64_t config_locked_until;	/* reading it fails */
static bool standby_lost;
static int64_t standby_back_at;
static bool need_scan;
static int64_t last_scan;
static bool draining;
static int64_t drain_until;

/* notes for the worker, as in shared memory */
static bool noted_rows[CHANNELS];
static bool noted_config;
static bool noted_rescan;

static uint64_t seed;
static uint64_t first_seed;
static long step;
static long turns;
static long sent;
static char fault[600];

static LnVerdict verdict(Channel *c);

static uint64_t
random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int64_t
upto(int64_t n)
{
	return (int64_t) (random_bits() % (uint64_t) n);
}

static void
complain(const char *what, int channel, const Row *r)
{
	char		detail[100] = "";

	if (fault[0] != '\0')
		return;
	if (channel >= 0)
		snprintf(detail, sizeof(detail), ", verdict \"%s\", lane %s",
				 ln_reason_name(verdict(&channels[channel]).reason),
				 ln_lane_due(&channels[channel].lane) <= now ? "due"
				 : "not due");
	snprintf(fault, sizeof(fault),
			 "%s: seed %" PRIu64 ", step %ld, channel %d, now %" PRId64
			 " ms, row due %" PRId64 " ms, free since %" PRId64
			 " ms, bound %" PRId64 " ms, state %d%s",
			 what, first_seed, step, channel, now / MS,
			 r ? r->due / MS : 0, r ? r->free_since / MS : 0,
			 r ? r->bound / MS : 0, r ? (int) r->state : -1, detail);
}

static unsigned
have(void)
{
	return LN_NEEDS_VERSION | LN_NEEDS_HOME |
		(known_enabled ? LN_NEEDS_ENABLED : 0);
}

static int
count(const Channel *c, RowState state)
{
	int			n = 0;

	for (int i = 0; i < ROWS; i++)
		n += c->rows[i].state == state;
	return n;
}

/* ---- the worker, with the world in place of SQL and HTTP ---- */

static LnVerdict
verdict(Channel *c)
{
	LnGateFacts f;
	int64_t		wait_ms = ln_breaker_wait_ms(&c->breaker, mono / 1000);

	memset(&f, 0, sizeof(f));
	f.disabled = !known_enabled;
	f.channel_paused = c->known_paused;
	(void) ln_token_timer_need(&c->token, now);
	f.token = ln_token_timer_state(&c->token);
	f.token_retry = ln_token_timer_due(&c->token);
	f.quiet_until = c->quiet_until;
	f.line_wait_until = c->wait_until;
	if (wait_ms > 0)
		f.breaker_until = now + wait_ms * 1000;
	else
	{
		f.probing = ln_breaker_allow(&c->breaker, 1, mono / 1000) == 0;
		if (!f.probing && c->breaker.state == BREAKER_HALF_OPEN)
		{
			c->probe_wanted = !c->probe_good &&
				c->probe_answer_at == LN_NEVER;
			f.probing = !c->probe_good;
		}
	}
	f.backoff_until = c->backoff_until;
	f.window_full = count(c, ON_THE_WIRE) >= WINDOW;
	return ln_gate(&f, now);
}

static void
file_read(Channel *c)
{
	if (c->file_there)
		ln_token_timer_got(&c->token, LN_NEVER, LN_NEVER);
	else
		ln_token_timer_failed(&c->token, 0, now);
}

static LnTaskResult
configure(int64_t *again)
{
	(void) again;
	if (config_locked_until > now)
		return LN_TASK_FAILED;
	known_enabled = enabled;
	for (int i = 0; i < CHANNELS; i++)
	{
		Channel    *c = &channels[i];

		if (c->known_paused && !c->paused)
			ln_breaker_success(&c->breaker);
		c->known_paused = c->paused;
		c->token.retry_at = LN_NOW;
		c->token.failures = 0;
		if (c->token.source == LN_SOURCE_FILE && !c->token.here)
			file_read(c);
		ln_lane_forget(&c->lane);
	}
	need_scan = true;
	last_scan = 0;
	return LN_TASK_PROGRESS;
}

static bool
is_busy(void)
{
	for (int i = 0; i < CHANNELS; i++)
		if (count(&channels[i], CLAIMED) +
			count(&channels[i], ON_THE_WIRE) > 0)
			return true;
	return false;
}

static int64_t
scan_due(void)
{
	if (!need_scan)
		return LN_NEVER;
	if (last_scan > now)
		return LN_NOW;
	return last_scan + (draining ? 5 * MS : is_busy() ? 30 * SECOND : SECOND);
}

static LnTaskResult
scan(int64_t *again)
{
	(void) again;
	last_scan = now;
	need_scan = false;
	for (int i = 0; i < CHANNELS; i++)
	{
		int64_t		first = LN_NEVER;

		for (int k = 0; k < ROWS; k++)
			if (channels[i].rows[k].state == WAITING &&
				channels[i].rows[k].due < first)
				first = channels[i].rows[k].due;
		ln_lane_scanned(&channels[i].lane, first, now);
	}
	return LN_TASK_PROGRESS;
}

/* A commit that waits for the standby: nothing else happens meanwhile. */
static void
commit(void)
{
	int64_t		wait;

	if (!standby_lost)
		return;
	wait = standby_back_at > now ? standby_back_at - now : 0;
	now += wait;
	mono += wait;
	standby_lost = false;
}

static int64_t
claim_due(void)
{
	int64_t		due = LN_NEVER;

	for (int i = 0; i < CHANNELS; i++)
	{
		Channel    *c = &channels[i];
		int64_t		at = ln_lane_due(&c->lane);

		if (at <= now)
		{
			LnVerdict	v = verdict(c);

			at = !ln_gate_may_claim(v) ? v.until
				: count(c, CLAIMED) >= WINDOW ? LN_NEVER : LN_NOW;
		}
		if (at < due)
			due = at;
	}
	return due;
}

static LnTaskResult
claim(int64_t *again)
{
	bool		progress = false;

	(void) again;
	for (int i = 0; i < CHANNELS; i++)
	{
		Channel    *c = &channels[i];
		int			n = 0;
		int			limit = WINDOW - count(c, CLAIMED);
		int64_t		last = now;

		if (ln_lane_tick(&c->lane, now))
			need_scan = true;
		if (!c->lane.maybe || limit <= 0 || !ln_gate_may_claim(verdict(c)))
			continue;
		if (c->breaker.state == BREAKER_HALF_OPEN)
			limit = 1;
		if (c->locked_until > now)
		{
			/* lock_timeout */
			now += SECOND;
			mono += SECOND;
			if (c->failures < 6)
				c->failures++;
			c->backoff_until = now + (100 * MS << c->failures);
			progress = true;
			continue;
		}
		c->failures = 0;
		c->backoff_until = 0;
		for (int k = 0; k < ROWS && n < limit; k++)
		{
			Row		   *r = &c->rows[k];

			if (r->state != WAITING || r->due > now || r->due < c->lane.low)
				continue;
			r->state = CLAIMED;
			last = r->due;
			n++;
		}
		if (ln_lane_claimed(&c->lane, n, n == limit, last, LN_NOW))
			need_scan = true;
		progress = progress || n > 0;
		commit();
	}
	return progress ? LN_TASK_PROGRESS : LN_TASK_IDLE;
}

static int64_t
questions_due(void)
{
	int64_t		due = LN_NEVER;

	for (int i = 0; i < CHANNELS; i++)
	{
		if (channels[i].probe_wanted)
			return LN_NOW;
		if (ln_token_timer_due(&channels[i].token) < due)
			due = ln_token_timer_due(&channels[i].token);
	}
	return due;
}

/* After how long is a question answered, if at all? */
static int64_t
latency(bool up)
{
	return up ? 1 * MS + upto(300) * MS : TIMEOUT;
}

static LnTaskResult
ask(int64_t *again)
{
	bool		progress = false;

	(void) again;
	for (int i = 0; i < CHANNELS; i++)
	{
		Channel    *c = &channels[i];

		if (c->probe_wanted)
		{
			c->probe_wanted = false;
			c->probe_answer_at = now + latency(c->net_up);
			c->probe_answer_good = c->net_up;
			progress = true;
		}
		if (ln_token_timer_due(&c->token) > now)
			continue;
		if (c->token.source == LN_SOURCE_ISSUED)
		{
			ln_token_timer_asked(&c->token);
			c->token_answer_at = now + latency(c->issuer_up);
			c->token_answer_good = c->issuer_up;
		}
		else
			file_read(c);
		progress = true;
	}
	return progress ? LN_TASK_PROGRESS : LN_TASK_IDLE;
}

static int64_t
send_due(void)
{
	int64_t		due = LN_NEVER;

	for (int i = 0; i < CHANNELS; i++)
	{
		LnVerdict	v;

		if (count(&channels[i], CLAIMED) == 0)
			continue;
		v = verdict(&channels[i]);
		if (!ln_gate_may_claim(v) || ln_gate_may_send(v))
			return LN_NOW;
		if (v.until < due)
			due = v.until;
	}
	return due;
}

static LnTaskResult
send(int64_t *again)
{
	bool		progress = false;

	(void) again;
	for (int i = 0; i < CHANNELS; i++)
	{
		Channel    *c = &channels[i];

		for (int k = 0; k < ROWS; k++)
		{
			Row		   *r = &c->rows[k];
			LnVerdict	v;

			if (r->state != CLAIMED)
				continue;
			v = verdict(c);
			if (!ln_gate_may_claim(v))
			{
				r->state = WAITING;
				ln_lane_wait(&c->lane, now);
				progress = true;
				continue;
			}
			if (!ln_gate_may_send(v))
				continue;
			if (c->quiet_until > now || c->wait_until > now ||
				c->known_paused || !known_enabled || !c->token.here ||
				c->breaker.state == BREAKER_OPEN)
				complain("sent though something holds it", i, r);
			r->state = ON_THE_WIRE;
			r->answer_at = now + latency(c->net_up);
			r->answer_good = c->net_up;
			ln_breaker_started(&c->breaker);
			progress = true;
		}
	}
	return progress ? LN_TASK_PROGRESS : LN_TASK_IDLE;
}

static int64_t
record_due(void)
{
	int64_t		first = LN_NEVER;

	for (int i = 0; i < CHANNELS; i++)
		for (int k = 0; k < ROWS; k++)
			if (channels[i].rows[k].state == ANSWERED &&
				channels[i].rows[k].answer_at < first)
				first = channels[i].rows[k].answer_at;
	return first == LN_NEVER ? LN_NEVER : is_busy() ? first + 10 * MS : LN_NOW;
}

static LnTaskResult
record(int64_t *again)
{
	(void) again;
	for (int i = 0; i < CHANNELS; i++)
		for (int k = 0; k < ROWS; k++)
			if (channels[i].rows[k].state == ANSWERED)
				channels[i].rows[k].state = FREE;
	commit();
	return LN_TASK_PROGRESS;
}

static const struct
{
	const char *name;
	unsigned	needs;
	bool		keeps;
	LnTaskResult (*run) (int64_t *again);
	int64_t		(*due) (void);
}			infos[NTASKS] =
{
	{"configure", LN_NEEDS_VERSION, true, configure, NULL},
	{"record", 0, true, record, record_due},
	{"claim", LN_NEEDS_VERSION | LN_NEEDS_HOME | LN_NEEDS_ENABLED, false,
	claim, claim_due},
	{"scan", LN_NEEDS_VERSION | LN_NEEDS_HOME, true, scan, scan_due},
	{"questions", LN_NEEDS_VERSION | LN_NEEDS_HOME | LN_NEEDS_ENABLED, false,
	ask, questions_due},
	{"send", 0, false, send, send_due},
};

static void
refresh(int i)
{
	if (infos[i].due != NULL)
		tasks[i].due = (tasks[i].needs & ~have()) == 0 ? infos[i].due()
			: LN_NEVER;
}

static void
take_notes(void)
{
	if (noted_config)
		ln_task_by(&tasks[T_CONFIGURE], LN_NOW);
	if (noted_rescan)
	{
		for (int i = 0; i < CHANNELS; i++)
			ln_lane_forget(&channels[i].lane);
		need_scan = true;
		last_scan = 0;
	}
	for (int i = 0; i < CHANNELS; i++)
		if (noted_rows[i])
		{
			ln_lane_fill(&channels[i].lane, now);
			ln_token_timer_told(&channels[i].token, now);
			ln_task_forgive(&tasks[T_CLAIM]);
			need_scan = true;
			noted_rows[i] = false;
		}
	noted_config = noted_rescan = false;
}

static bool
notes(void)
{
	bool		any = noted_config || noted_rescan;

	for (int i = 0; i < CHANNELS; i++)
		any = any || noted_rows[i];
	return any;
}

/* Answers whose time has come. */
static bool
take_answers(void)
{
	bool		any = false;

	for (int i = 0; i < CHANNELS; i++)
	{
		Channel    *c = &channels[i];

		if (c->token.asking && c->token_answer_at <= now)
		{
			any = true;
			if (c->token_answer_good)
				ln_token_timer_got(&c->token, now + 14 * MINUTE,
								   now + 10 * MINUTE);
			else
				ln_token_timer_failed(&c->token,
									  c->token.failures > 5 ? MINUTE
									  : SECOND << c->token.failures, now);
		}
		if (c->probe_answer_at <= now)
		{
			any = true;
			c->probe_answer_at = LN_NEVER;
			if (c->breaker.state == BREAKER_HALF_OPEN)
			{
				c->probe_good = c->probe_answer_good;
				if (!c->probe_good)
					ln_breaker_failure(&c->breaker, mono / 1000);
			}
		}
		for (int k = 0; k < ROWS; k++)
		{
			Row		   *r = &c->rows[k];

			if (r->state != ON_THE_WIRE || r->answer_at > now)
				continue;
			any = true;
			sent++;
			c->probe_good = false;
			r->state = ANSWERED;
			if (r->answer_good)
				ln_breaker_success(&c->breaker);
			else
				ln_breaker_failure(&c->breaker, mono / 1000);
		}
	}
	return any;
}

static int64_t
next_answer(void)
{
	int64_t		at = LN_NEVER;

	for (int i = 0; i < CHANNELS; i++)
	{
		Channel    *c = &channels[i];

		if (c->token.asking && c->token_answer_at < at)
			at = c->token_answer_at;
		if (c->probe_answer_at < at)
			at = c->probe_answer_at;
		for (int k = 0; k < ROWS; k++)
			if (c->rows[k].state == ON_THE_WIRE && c->rows[k].answer_at < at)
				at = c->rows[k].answer_at;
	}
	return at;
}

/* One turn of the loop; returns when to wake up. */
static int64_t
turn(bool *progress)
{
	*progress = notes();
	turns++;
	take_notes();
	*progress |= take_answers();
	for (int i = 0; i < NTASKS; i++)
	{
		int64_t		again = LN_NEVER;
		LnTaskResult result;

		refresh(i);
		if (!ln_task_ready(&tasks[i], have(), now))
			continue;
		ln_task_begin(&tasks[i]);
		result = infos[i].run(&again);
		if (infos[i].due != NULL)
			again = infos[i].due();
		ln_task_end(&tasks[i], result, again, now);
		*progress |= result == LN_TASK_PROGRESS;
	}
	for (int i = 0; i < NTASKS; i++)
		refresh(i);
	return ln_agenda_wake(tasks, NTASKS, have());
}

/* As ln_tasks_resume(). */
static int64_t
resume(void)
{
	int64_t		at;

	if (notes() || need_scan || is_busy())
		return LN_NOW;
	for (int i = 0; i < CHANNELS; i++)
		if (count(&channels[i], ANSWERED) > 0)
			return LN_NOW;
	at = ln_agenda_resume(tasks, NTASKS, have());
	if (at > now)
		at = LN_NEVER;
	for (int i = 0; i < CHANNELS && known_enabled; i++)
		if (ln_lane_due(&channels[i].lane) <= now)
		{
			int64_t		r = ln_gate_resume(verdict(&channels[i]));

			if (r < at)
				at = r;
		}
	return at;
}

/* ---- what the world knows ---- */

/* Does something of the world hold this row?  Else the bound for noticing. */
static bool
is_held(const Channel *c, const Row *r, int64_t *bound)
{
	*bound = LN_BACKOFF_LAST + 2 * SECOND;
	if (r->due > now || c->paused || !enabled || standby_lost ||
		c->quiet_until > now || c->wait_until > now || c->locked_until > now ||
		config_locked_until > now)
		return true;
	if (c->token.source == LN_SOURCE_FILE && !c->token.here)
	{
		*bound = LN_FILE_RETRY + 2 * SECOND;
		return !c->file_there;
	}
	if (c->token.source == LN_SOURCE_ISSUED && !c->token.here)
	{
		*bound = MINUTE + TIMEOUT + 2 * SECOND;
		return !c->issuer_up;
	}
	if (c->breaker.state != BREAKER_CLOSED || count(c, ON_THE_WIRE) > 0)
		*bound = BREAKER_LAST_MS * MS + 3 * TIMEOUT;
	return !c->net_up;
}

/*
 * The bound of a row is that of the worst obstacle since it was free, since
 * what the worker has not noticed yet may follow one after the other; each of
 * those behind it in line adds its own pass.
 */
static void
check_rows(void)
{
	for (int i = 0; i < CHANNELS; i++)
		for (int k = 0; k < ROWS; k++)
		{
			Row		   *r = &channels[i].rows[k];
			int64_t		bound;

			if (r->state != WAITING)
			{
				r->free_since = LN_NEVER;
				continue;
			}
			if (is_held(&channels[i], r, &bound))
			{
				r->free_since = LN_NEVER;
				r->bound = 0;
				continue;
			}
			if (bound > r->bound)
				r->bound = bound;
			if (r->free_since == LN_NEVER)
				r->free_since = mono;
			if (mono - r->free_since >
				r->bound + (int64_t) ROWS / WINDOW * SECOND + 35 * SECOND)
				complain("a message waits though nothing holds it", i, r);
		}
}

/* drain() has ended before its time: is there anything that moves? */
static void
check_drain(void)
{
	for (int i = 0; i < CHANNELS; i++)
		for (int k = 0; k < ROWS; k++)
		{
			Channel    *c = &channels[i];
			Row		   *r = &c->rows[k];
			int64_t		bound;

			if (r->state == CLAIMED || r->state == ON_THE_WIRE ||
				r->state == ANSWERED)
				complain("drain() ended with messages in hand", i, r);
			if (r->state != WAITING || r->due > now)
				continue;
			/* a token on its way is work */
			if (!c->paused && enabled && c->quiet_until <= now &&
				c->wait_until <= now && c->token.asking && !c->token.here)
				complain("drain() ended with a token on its way", i, r);
			/* a file is not waited for, nor a breaker beyond the time */
			if (!is_held(c, r, &bound) && c->token.here &&
				c->breaker.state == BREAKER_CLOSED)
				complain("drain() left what could go", i, r);
		}
}

/* ---- events ---- */

static void
insert(int i, int64_t due)
{
	for (int k = 0; k < ROWS; k++)
	{
		Row		   *r = &channels[i].rows[k];

		if (r->state != FREE)
			continue;
		r->state = WAITING;
		r->due = due;
		r->free_since = LN_NEVER;
		r->bound = 0;
		noted_rows[i] = true;
		return;
	}
}

static void
event(void)
{
	int			i = (int) upto(CHANNELS);
	Channel    *c = &channels[i];

	switch (upto(22))
	{
		case 0:
		case 1:
		case 2:
		case 3:
			insert(i, now);
			break;
		case 4:
			for (int n = (int) upto(8); n >= 0; n--)
				insert(i, now);
			break;
		case 5:
			insert(i, now + upto(2 * HOUR));
			break;
		case 6:
			c->paused = !c->paused && upto(3) == 0;
			noted_config = true;
			break;
		case 7:
			c->net_up = upto(4) != 0;
			break;
		case 8:
			c->file_there = upto(4) != 0;
			break;
		case 9:
			c->issuer_up = upto(4) != 0;
			break;
		case 10:
			c->quiet_until = upto(3) == 0 ? now + upto(HOUR) : 0;
			noted_config = true;	/* alter_channel() */
			break;
		case 11:
			if (upto(3) == 0)
				c->wait_until = now + upto(MINUTE);
			break;
		case 12:
			if (upto(3) == 0)
				c->locked_until = now + upto(30 * SECOND);
			break;
		case 13:
			noted_config = true;	/* a reload */
			if (upto(4) == 0)
				config_locked_until = now + upto(20 * SECOND);
			break;
		case 14:
			enabled = upto(6) != 0;
			noted_config = true;
			break;
		case 15:
			if (!standby_lost && upto(3) == 0)
			{
				standby_lost = true;
				standby_back_at = now + upto(MINUTE);
			}
			break;
		case 16:
			if (!draining)
			{
				draining = true;
				drain_until = now + 1 + upto(10 * MINUTE);
				noted_rescan = true;
			}
			break;
		case 17:
			noted_rescan = true;	/* reschedule() and their like */
			break;
		case 18:
			{
				/*
				 * The clock is set.  Back, what was due is not yet, and times
				 * that were read from it lie ahead: the claim finds out.
				 */
				int64_t		by = upto(4) == 0 ? -upto(10 * MINUTE)
					: upto(10 * MINUTE);

				if (upto(8) == 0 && by > 0)
					now += by;
				break;
			}
		default:
			break;				/* nothing but time */
	}
}

static void
begin(uint64_t s)
{
	seed = first_seed = s * UINT64_C(0x9E3779B97F4A7C15) + 1;
	memset(channels, 0, sizeof(channels));
	memset(tasks, 0, sizeof(tasks));
	now = mono = HOUR;
	enabled = known_enabled = true;
	standby_lost = draining = false;
	config_locked_until = 0;
	noted_config = noted_rescan = false;
	need_scan = true;
	last_scan = 0;
	for (int i = 0; i < NTASKS; i++)
	{
		tasks[i].name = infos[i].name;
		tasks[i].needs = infos[i].needs;
		tasks[i].keeps = infos[i].keeps;
		tasks[i].due = infos[i].due != NULL ? LN_NEVER : LN_NOW;
		tasks[i].not_before = LN_NOW;
	}
	for (int i = 0; i < CHANNELS; i++)
	{
		Channel    *c = &channels[i];

		c->net_up = c->issuer_up = true;
		c->file_there = upto(2) == 0;
		c->probe_answer_at = c->token_answer_at = LN_NEVER;
		ln_lane_init(&c->lane);
		ln_token_timer_init(&c->token, i == 0 ? LN_SOURCE_FILE
							: LN_SOURCE_ISSUED);
		noted_rows[i] = false;
	}
}

static const char *
spin_over(int i)
{
	static char text[80];

	snprintf(text, sizeof(text), "the loop spins over task \"%s\"",
			 tasks[i].name);
	return text;
}

/* Let the worker run until the next event of the world. */
static void
run_until(int64_t until)
{
	int			without = 0;
	bool		idle = false;

	while (fault[0] == '\0')
	{
		bool		progress;
		int64_t		before = now;
		int64_t		wake = turn(&progress);
		int64_t		answer = next_answer();

		check_rows();
		if (draining)
		{
			int64_t		r = resume();

			if (now >= drain_until)
				draining = false;
			else if (r > drain_until)
			{
				check_drain();
				draining = false;
			}
		}
		if (idle && !progress)
			complain("a turn for nothing", -1, NULL);
		without = progress || now > before ? 0 : without + 1;
		if (without > MAX_TURNS)
		{
			for (int i = 0; i < NTASKS; i++)
				if (ln_task_at(&tasks[i], have()) <= now)
					complain(spin_over(i), -1, NULL);
			complain("the loop spins", -1, NULL);
		}
		if (wake > answer)
			wake = answer;
		if (draining && wake > drain_until)
			wake = drain_until;
		if (wake <= now)
			continue;
		idle = wake == LN_NEVER;
		if (wake >= until)
			break;
		mono += wake - now;
		now = wake;
		idle = false;
	}
	if (until > now)
	{
		mono += until - now;
		now = until;
	}
}

/* A new message makes us look for a missing file: at once, not too often. */
static void
told_of_file(void)
{
	LnTokenTimer t;
	int64_t		at = 100 * SECOND;

	ln_token_timer_init(&t, LN_SOURCE_FILE);
	(void) ln_token_timer_need(&t, at);
	ln_token_timer_asked(&t);
	ln_token_timer_failed(&t, 0, at);
	(void) ln_token_timer_need(&t, at);
	ok(ln_token_timer_due(&t) == at + LN_FILE_RETRY,
	   "a missing file is looked for later");
	ln_token_timer_told(&t, at + LN_FILE_RETRY_TOLD - 1);
	ok(ln_token_timer_due(&t) == at + LN_FILE_RETRY,
	   "a message that comes right behind changes nothing");
	ln_token_timer_told(&t, at + LN_FILE_RETRY_TOLD);
	ok(ln_token_timer_due(&t) == LN_NOW, "one that comes after a second does");
}

int
main(void)
{
	const char *env = getenv("SIM_STEPS");
	long		steps = env != NULL ? atol(env) : 1000000;
	uint64_t	s;
	long		played = 0;
	long		sequences = 0;

	env = getenv("SIM_SEED");
	s = env != NULL ? strtoull(env, NULL, 10) : 1;
	while (played < steps && fault[0] == '\0')
	{
		begin(s++);
		sequences++;
		for (step = 0; step < 2000 && fault[0] == '\0'; step++, played++)
		{
			event();
			run_until(now + upto(4) * upto(20 * SECOND));
		}
	}
	if (fault[0] != '\0')
		printf("# %s\n", fault);
	printf("# %ld events in %ld sequences, %ld turns, %ld messages\n",
		   played, sequences, turns, sent);
	ok(fault[0] == '\0', "held, sent, noticed, no spin, idle, drain");
	ok(sent > played / 10, "messages were sent");
	told_of_file();
	return done_testing();
}
