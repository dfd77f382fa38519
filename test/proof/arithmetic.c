/*
 * Retry, breaker, quiet hours, window, horizon: any input, any state that they
 * can be in.  Harnesses for CBMC; see run.sh.
 */
#include <stddef.h>

#include "base/breaker.c"
#include "base/horizon.c"
#include "base/quiet.c"
#include "base/retry.c"
#include "base/window.c"

int			nondet_int(void);
_Bool		nondet_bool(void);
int64_t		nondet_i64(void);
uint64_t	nondet_u64(void);
uint32_t	nondet_u32(void);

#define CHECK(condition, what) __CPROVER_assert(condition, what)
#define GIVEN(condition) __CPROVER_assume(condition)

/* far beyond any clock: 30,000 years in ms */
#define TIME_MAX	INT64_C(1000000000000000)

static int64_t
any_time(void)
{
	int64_t		t = nondet_i64();

	GIVEN(t >= 0 && t <= TIME_MAX);
	return t;
}

void
retry(void)
{
	int			attempt = nondet_int();
	int64_t		base = nondet_i64();
	int64_t		cap = nondet_i64();
	int64_t		delay;

	/* 35 years; each doubling is a turn to unwind */
	GIVEN(cap <= INT64_C(1) << 40);
	delay = ln_retry_delay_ms(attempt, base, cap, nondet_u64());

	CHECK(delay >= 1, "never at once");
	CHECK(delay <= (cap < 1 ? 1 : cap), "never above the cap");
	if (attempt <= 1)
		CHECK(delay <= (base < 1 ? 1 : base), "the first within the base");
	if (attempt <= 2 && base <= cap / 2)
		CHECK(delay <= (base < 1 ? 2 : 2 * base), "the second within twice");
	CHECK(delay >= (base < cap ? base : cap) / 10, "a tenth of the base");
}

void
retry_question(void)
{
	int			questions = nondet_int();
	int64_t		wait;

	GIVEN(questions >= 0);
	wait = ln_retry_credential_check_ms(questions, nondet_u64());

	CHECK(wait >= 7500 && wait <= 600000, "10 s less a quarter, 10 minutes");
}

/* What a breaker can be in; each operation keeps it. */
static bool
breaker_valid(const Breaker *b)
{
	return b->state >= BREAKER_CLOSED && b->state <= BREAKER_HALF_OPEN &&
		b->failures >= 0 && b->failures < 1000000000 &&
		b->openings >= 0 && b->openings < 1000000000 &&
		b->until_ms >= 0 && b->until_ms <= TIME_MAX + BREAKER_LAST_MS &&
		(b->state != BREAKER_CLOSED || b->failures < BREAKER_THRESHOLD) &&
		(b->state == BREAKER_HALF_OPEN || !b->probing);
}

static Breaker
any_breaker(void)
{
	Breaker		b;

	b.state = (BreakerState) nondet_int();
	b.failures = nondet_int();
	b.openings = nondet_int();
	b.until_ms = nondet_i64();
	b.probing = nondet_bool();
	GIVEN(breaker_valid(&b));
	return b;
}

void
breaker(void)
{
	Breaker		b = any_breaker();
	Breaker		old = b;
	int64_t		now = any_time();
	int			want = nondet_int();
	int			n;

	switch (nondet_int())
	{
		case 0:
			n = ln_breaker_allow(&b, want, now);
			CHECK(n == 0 || n == 1 || n == want, "none, a probe, or all");
			if (old.state == BREAKER_OPEN && now < old.until_ms)
				CHECK(n == 0, "open: nothing before the pause is over");
			if (old.state == BREAKER_OPEN && now >= old.until_ms && want > 0)
				CHECK(n == 1, "then a probe");
			if (b.state == BREAKER_HALF_OPEN)
				CHECK(n <= 1 && (n == 0 || !b.probing), "one probe");
			if (old.state == BREAKER_CLOSED && want > 0)
				CHECK(n == want, "closed: all");
			if (n == 1 && b.state == BREAKER_HALF_OPEN)
			{
				ln_breaker_started(&b);
				CHECK(ln_breaker_allow(&b, want, now) == 0,
					  "the probe is alone");
			}
			break;
		case 1:
			ln_breaker_failure(&b, now);
			if (old.state == BREAKER_CLOSED &&
				old.failures + 1 >= BREAKER_THRESHOLD)
				CHECK(b.state == BREAKER_OPEN, "a run opens it");
			if (old.state == BREAKER_HALF_OPEN)
				CHECK(b.state == BREAKER_OPEN, "a failed probe opens it");
			if (b.state == BREAKER_OPEN && old.state != BREAKER_OPEN)
				CHECK(b.until_ms - now >= BREAKER_FIRST_MS &&
					  b.until_ms - now <= BREAKER_LAST_MS &&
					  b.openings == old.openings + 1, "pause in bounds");
			break;
		case 2:
			ln_breaker_success(&b);
			CHECK(b.state == BREAKER_CLOSED, "an answer closes it");
			break;
		case 3:
			ln_breaker_neutral(&b);
			CHECK(b.state == old.state && !b.probing, "another probe may go");
			break;
		default:
			CHECK(ln_breaker_wait_ms(&b, now) >= -1, "a time or none");
			break;
	}
	CHECK(breaker_valid(&b) || b.failures == 1000000000 ||
		  b.openings == 1000000000, "the invariant is kept");
}

void
quiet_parse(void)
{
	char		text[13];
	LnQuiet		q;

	for (int i = 0; i < 12; i++)
		text[i] = (char) nondet_int();
	text[12] = '\0';
	if (ln_quiet_parse(text, &q))
	{
		CHECK(q.from >= 0 && q.from < 1440 && q.until >= 0 && q.until < 1440,
			  "minutes of a day");
		CHECK(text[11] == '\0' && text[5] == '-', "and no more than that");
	}
	else
		CHECK(!(text[0] == '0' && text[1] == '7' && text[2] == ':' &&
				text[3] == '5' && text[4] == '9' && text[5] == '-' &&
				(text[6] == '0' || text[6] == '1') &&
				text[7] >= '0' && text[7] <= '9' && text[8] == ':' &&
				text[9] >= '0' && text[9] <= '5' &&
				text[10] >= '0' && text[10] <= '9' && text[11] == '\0'),
			  "a time of the day is taken");
}

static LnWindow
any_window(void)
{
	LnWindow	w;

	w.size = nondet_int();
	w.peak = nondet_int();
	w.last_peak = nondet_int();
	w.peak_since_ms = any_time();
	GIVEN(w.size >= 0 && w.size <= 1000000);
	GIVEN(w.peak >= 0 && w.peak <= 1000000);
	GIVEN(w.last_peak >= 0 && w.last_peak <= 1000000);
	return w;
}

void
window_room(void)
{
	LnWindow	w = any_window();
	int			out = nondet_int();
	int			old = w.size;
	int			n;

	GIVEN(out >= 0 && out <= 1000000);
	n = ln_window_free(&w, out, any_time());
	CHECK(n == (out < w.size ? w.size - out : 0), "room up to the window");
	CHECK(w.size >= 1 && (old == 0 || w.size <= old), "asking opens nothing");
	CHECK(w.size >= LN_WINDOW_FIRST || w.size == old,
		  "never closed by rest below the first size");
	ln_window_lost(&w);
	CHECK(w.size >= LN_WINDOW_FIRST && w.size <= 1000000, "lost: half");
}

/*
 * Clock readings and transaction ids only grow, as the caller sees to it, and
 * all transactions below xmin have ended: then no row that becomes visible
 * later is due before the bound.
 */
void
horizon(void)
{
	LnHorizon	h = {0};
	int64_t		at[3];
	uint64_t	next[3];
	int64_t		seen = nondet_i64();
	int64_t		safe;
	uint64_t	xmin = nondet_u64();
	uint64_t	row_xid = nondet_u64();
	int64_t		row_due = nondet_i64();

	for (int i = 0; i < 3; i++)
	{
		at[i] = any_time();
		next[i] = nondet_u64();
		GIVEN(next[i] >= 3 && next[i] < UINT64_C(1) << 62);
		GIVEN(i == 0 || (at[i] >= at[i - 1] && next[i] >= next[i - 1]));
		(void) ln_horizon_note(&h, at[i], next[i]);
	}
	GIVEN(xmin >= 3 && xmin <= next[2] && next[2] - xmin < UINT64_C(1) << 31);
	safe = ln_horizon_safe(&h, (uint32_t) xmin, seen);
	CHECK(safe <= seen, "not past what was seen");
	if (xmin == next[2])
		CHECK(safe >= (seen < at[2] ? seen : at[2]),
			  "nothing runs: up to the last note");

	/*
	 * A row still to come: its transaction runs, and read the clock after it
	 * had its id; so if that id was not yet given out at a note, the row is
	 * due after the note.
	 */
	GIVEN(row_xid >= xmin && row_due >= 0);	/* no clock before 2000 */
	for (int i = 0; i < 3; i++)
		GIVEN(row_xid < next[i] || row_due >= at[i]);
	CHECK(row_due >= safe || safe == INT64_MIN, "no row before the bound");
}

/* the notes never leave their array, however full */
void
horizon_full(void)
{
	LnHorizon	h;
	int			n = nondet_int();

	GIVEN(n >= 0 && n <= HORIZON_NOTES);
	h.n = n;
	h.latest = any_time();
	h.safe = nondet_i64();
	(void) ln_horizon_note(&h, any_time(), nondet_u64());
	CHECK(h.n >= 1 && h.n <= HORIZON_NOTES, "within the array");
}
