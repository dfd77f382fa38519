/*
 * wakeup.pml
 *		Who is woken by a COMMIT, and what the worker looks at before it sleeps.
 *
 * One channel, which is paused and resumed; SESSIONS that each queue a message
 * in it; the worker.  A message of a paused channel is noted without waking
 * the worker (ln_shmem_note_quietly), if the worker will look before that
 * message expires.  What must hold: when nobody moves any more, the worker
 * knows of each message that may go, and of each that expires before it looks
 * by itself.  Memory is sequentially consistent, as the barriers there make it.
 *
 * Of times only the order matters.
 */
#ifndef SESSIONS
#define SESSIONS 2
#endif
#ifndef TOGGLES
#define TOGGLES 2
#endif

/* when a message expires, when the worker looks by itself */
#define NOW		0
#define NEAR	1
#define SOON	2
#define FAR		3
#define NEVER	4

/* tables: what is committed */
bool paused = true;
bool row[SESSIONS];
byte expires[SESSIONS];

/* shared memory; locks are not modelled, nothing relies on them */
bool work_outbox, work_config, quiet, latch;
bool open_channel;				/* open_channels */
byte wake_at = NEVER;

/* the worker */
bool asleep, known_paused = true;
bool knows[SESSIONS], sent[SESSIONS];
byte moving = SESSIONS + 1;		/* sessions and the operator */

bool slept_broken;

proctype session(byte i)
{
	bool done = false;
	byte seen;

	if
	:: expires[i] = NEAR
	:: expires[i] = FAR
	fi;
#ifdef MUT_MASK_BEFORE_COMMIT
	bool is_open = open_channel;
	row[i] = true;
#else
	row[i] = true;				/* COMMIT; the callback comes after it */
	bool is_open = open_channel;
#endif
#ifdef MUT_TIME_FIRST
	seen = wake_at;
#endif
	if
	:: !is_open ->
		quiet = true;
		done = true;
#ifndef MUT_TIME_FIRST
		seen = wake_at;
#endif
#ifndef MUT_NO_EXPIRY
		done = done && seen <= expires[i];
#endif
	:: else
	fi;
	if
	:: !done -> work_outbox = true; latch = true
	:: else
	fi;
	moving--
}

/* pause() and resume() */
proctype operator()
{
	byte n = 0;

	do
	:: n < TOGGLES ->
		n++;
		paused = !paused;		/* COMMIT */
		work_config = true;
		latch = true
	:: break
	od;
	moving--
}

proctype worker()
{
	bool config, look;
	byte mine, i;

	do
	::
		latch = false;
		wake_at = NOW;
		d_step { config = work_config; work_config = false; look = work_outbox; work_outbox = false };
		d_step { look = look || quiet; quiet = false };
		if
		:: config ->
			known_paused = paused;
#ifndef MUT_MASK_LATE
			open_channel = !known_paused;
#endif
			look = true
		:: else
		fi;
		if
		:: look ->				/* one snapshot */
			d_step {
				i = 0;
				do
				:: i < SESSIONS -> knows[i] = row[i]; i++
				:: else -> break
				od
			}
		:: else
		fi;
		if						/* another task may be due */
		:: mine = SOON
		:: mine = NEVER
		fi;
		d_step {
			i = 0;
			do
			:: i < SESSIONS ->
				if
				:: knows[i] && !known_paused -> sent[i] = true
				:: knows[i] && known_paused && !sent[i] && expires[i] < mine -> mine = expires[i]
				:: else
				fi;
				i++
			:: else -> break
			od
		}
		wake_at = mine;
#ifndef MUT_NO_LAST_LOOK
		if
		:: quiet -> goto again
		:: else
		fi;
#endif
#ifdef MUT_MASK_LATE
		open_channel = !known_paused;
#endif
		atomic {
			asleep = true;
			if
			:: latch -> asleep = false
			:: !latch && moving == 0 -> goto judge	/* nobody will set it */
			fi
		}
again:	skip
	od;
judge:
	skip;
	d_step {
		i = 0;
		do
		:: i < SESSIONS ->
			if
			:: !paused && !sent[i] -> slept_broken = true
			:: paused && !sent[i] && expires[i] < mine -> slept_broken = true
			:: else
			fi;
			i++
		:: else -> break
		od
	}
	assert(!slept_broken)
}

init
{
	byte i;

	atomic {
		for (i : 0 .. SESSIONS - 1) { run session(i) }
		run operator();
		run worker()
	}
}
