/*
 * delivery.pml: one server.  claim -> journal -> send -> record -> rescue.
 *
 * The actions are those of the C code, MAPPING.md says which; README.md says
 * what is assumed and what the properties mean.  One statement "atomic" is one
 * step that nothing can divide: a transaction, a store into the journal, bytes
 * given to the kernel.  Between any two of them a process or the server may
 * die.
 *
 * What is bounded, by -D:
 *
 *	M	messages			C	processes that claim, at once	PL	places of a journal
 *	CRASH	crashes of the server (kill -9 of any of its processes is one)
 *	DIE		deaths of one claimer that leave the server alone (FATAL)
 *	QUIT	orderly ends of a claimer
 *	POWER	power losses: what the kernel had not written is gone
 *	FAIL	proved "not sent"	THROTTLE	answers 429
 *	DROP	taken from a claimer's hand: paused or expired after the claim
 *	CANCEL	cancel() or expiry	REDRIVE	redrive() of what was not sent
 *	MAXA	max_attempts		RETRY	on_unknown and on_server_error = retry
 *	ASYNC	results are recorded with an asynchronous commit
 *	WALWRITER	0 = nothing is flushed unless one of us does it
 *	ALONE	one claimer at a time, as LOCK_WORKER makes it
 *
 * Mutants (MUT_...) each take one guard away.
 */
#ifndef M
#define M 2
#endif
#ifndef C
#define C 2
#endif
#ifndef PL
#define PL 1
#endif
#ifndef CRASH
#define CRASH 1
#endif
#ifndef DIE
#define DIE 0
#endif
#ifndef QUIT
#define QUIT 0
#endif
#ifndef POWER
#define POWER 0
#endif
#ifndef FAIL
#define FAIL 0
#endif
#ifndef THROTTLE
#define THROTTLE 0
#endif
#ifndef DROP
#define DROP 0
#endif
#ifndef CANCEL
#define CANCEL 0
#endif
#ifndef REDRIVE
#define REDRIVE 0
#endif
#ifndef MAXA
#define MAXA 2
#endif
#ifndef RETRY
#define RETRY 0
#endif
#ifndef ASYNC
#define ASYNC 0
#endif
#ifndef WALWRITER
#define WALWRITER 1
#endif
#ifndef ALONE
#define ALONE 0
#endif
/* incarnations of claimers: as many as there can be deaths */
#define INC (C + (CRASH + POWER) * C + DIE + QUIT)

/* states of a message; QUEUED with a lease is "sending" */
#define QUEUED 0
#define ACCEPTED 1
#define REFUSED 2
#define FAILED 3
#define CANCELLED 4
#define UNKNOWN 5
#define DELIVERED 6

/* what an attempt came to: LineOutcome, and O_DROP = none was made */
#define O_DROP 0
#define O_NOT_SENT 1
#define O_SHORT 2			/* NOT_SENT after the journal was set */
#define O_ACCEPTED 3
#define O_REFUSED 4
#define O_THROTTLED 5
#define O_SERVER_ERROR 6
#define O_AMBIGUOUS 7

/* a place in the memory of a claimer: DeliveryState */
#define P_FREE 0
#define P_ENTRY 1			/* journal written, lease not yet committed */
#define P_CLAIMED 2
#define P_ASKED 3			/* journal set, bytes not yet given away */
#define P_SENT 4
#define P_DONE 5
#define P_KEPT 6			/* recorded, not yet flushed */

/* the network as the place sees it; 3 and more: an answer in the kernel */
#define N_NONE 0
#define N_TRANSIT 1
#define N_TAKEN 2

/* ---- the database: what is visible, and what a crash leaves ---- */
typedef Row {
	byte st; byte lease; byte owner; byte att; bit maybe; bit delivered; bit event
};
Row d[M], f[M];
bit unflushed;

/* ---- claimers: memory, session lock (alive), journal file ---- */
typedef Place {
	byte state; byte m; byte tok; byte att; bit maybe; byte oc; bit pending; byte net
};
typedef Entry { byte id; byte tok; bit asked; bit complete; byte status };
Place pm[INC * PL];
Entry je[INC * PL];
bit alive[INC], file[INC], old_boot[INC];
byte cur[C];				/* incarnation of a process */
byte incs, next_token = 1, claim_lock;

/* ---- LINE and the way there ---- */
byte stray[M];				/* requests on the way that nobody waits for */
bit event_sent[M];
byte waiting_at_line;		/* places whose request is on the way */

/* ---- budgets ---- */
byte crashes, dies, quits, powers, fails, throttles, drops, cancels, redrives;

/* ---- ghosts ---- */
byte copies[M];				/* how often LINE accepted it */
bit amb[M];					/* somebody truly cannot know */
bit known[M];				/* a delivery event was folded */
bit once_broken, truth_broken, loss_broken;

/* scratch: every step leaves it zero, so it adds no states */
byte i, k, p, m, me, next, o, t;
bit believed;

#define AT(inc, place)	((inc) * PL + (place))
#define LIVE(x)			(cur[x] < INC && alive[cur[x]])

inline flush() {
	d_step {
	i = 0;
	do
	:: i < M ->
		f[i].st = d[i].st; f[i].lease = d[i].lease; f[i].owner = d[i].owner;
		f[i].att = d[i].att; f[i].maybe = d[i].maybe;
		f[i].delivered = d[i].delivered; f[i].event = d[i].event; i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < INC * PL -> pm[i].pending = 0; i++
	:: else -> break
	od;
	unflushed = 0; i = 0 }
}

inline check() {
	d_step {
	i = 0;
	do
	:: i < M ->
		/* once: at most one copy, unless the policy allows more */
		if
		:: !RETRY && copies[i] > 1 -> once_broken = 1
		:: RETRY && copies[i] > MAXA -> once_broken = 1
		:: else
		fi;
		/* truth: no state says what LINE did not do */
		if
		:: d[i].st == ACCEPTED && copies[i] == 0 -> truth_broken = 1
		:: d[i].st == DELIVERED && copies[i] == 0 -> truth_broken = 1
		:: (d[i].st == REFUSED || d[i].st == FAILED || d[i].st == CANCELLED) &&
			(copies[i] > 0 || stray[i] > 0) -> truth_broken = 1
		:: d[i].st == QUEUED && d[i].lease == 0 && !d[i].maybe && !d[i].delivered &&
			(copies[i] > 0 || stray[i] > 0) -> truth_broken = 1
		:: (d[i].st == UNKNOWN || d[i].maybe) && !amb[i] -> truth_broken = 1
		:: known[i] && d[i].st != DELIVERED && d[i].st != QUEUED -> truth_broken = 1
		:: else
		fi;
		i++
	:: else -> break
	od;
	assert(!once_broken);
	assert(!truth_broken);
	i = 0 }
}

/* ln_line_decide(): next = state to end in, or QUEUED */
inline decide(how, nth, before) {
	if
	:: how == O_ACCEPTED -> next = ACCEPTED
	:: how == O_REFUSED ->
#ifdef MUT_MAYBE_REFUSED
		next = REFUSED
#else
		next = (before -> UNKNOWN : REFUSED)
#endif
	:: how == O_THROTTLED || how == O_DROP -> next = QUEUED
	:: how == O_NOT_SENT || how == O_SHORT ->
#ifdef MUT_MAYBE_FAILED
		next = (nth < MAXA -> QUEUED : FAILED)
#else
		next = (nth < MAXA -> QUEUED : (before -> UNKNOWN : FAILED))
#endif
	:: how == O_SERVER_ERROR || how == O_AMBIGUOUS ->
#ifdef MUT_RETRY_UNKNOWN
		next = (nth < MAXA -> QUEUED : UNKNOWN)
#else
		next = (RETRY && nth < MAXA -> QUEUED : UNKNOWN)
#endif
	fi
}

/* the delivery event came while it was on the wire: it does not go back */
#ifdef MUT_REQUEUE_DELIVERED
#define ARRIVED(row)	false
#else
#define ARRIVED(row)	(d[row].delivered)
#endif
#ifdef MUT_FORGET_EVENT
#define HEARD(row)		false
#else
#define HEARD(row)		(d[row].delivered)
#endif
#ifdef MUT_NO_TOKEN
#define HELD(row, lease_token)	(d[row].st == QUEUED)
#else
#define HELD(row, lease_token)	(d[row].lease == lease_token && lease_token != 0)
#endif

/* ln_outbox_record(): one transaction, under the lease */
inline write_record(row, lease_token, how, nth) {
	if
	:: HELD(row, lease_token) ->
		d[row].lease = 0; d[row].owner = 0; unflushed = 1;
		if
		:: next == QUEUED && ARRIVED(row) -> d[row].st = DELIVERED; d[row].att = 0; d[row].maybe = 0
		:: next == QUEUED && !ARRIVED(row) ->
			if
			:: how == O_THROTTLED || how == O_DROP
			:: else -> d[row].att = nth
			fi;
			if
			:: how == O_SERVER_ERROR || how == O_AMBIGUOUS ->
#ifndef MUT_FORGET_MAYBE
				d[row].maybe = 1
#else
				skip
#endif
			:: else
			fi
		:: next != QUEUED ->
			d[row].st = (HEARD(row) -> DELIVERED : next); d[row].att = 0; d[row].maybe = 0
		fi;
		d[row].delivered = 0
	:: else
	fi
}

/* what is in the hand of a claimer is lost with it */
inline forget(inc) {
	k = 0;
	do
	:: k < PL ->
		p = AT(inc, k);
		if
		:: pm[p].state == P_ASKED || pm[p].state == P_SENT ||
			((pm[p].state == P_DONE || pm[p].state == P_KEPT) && pm[p].oc == O_SHORT) ->
			amb[pm[p].m] = 1
		:: else
		fi;
		if
		:: pm[p].net == N_TRANSIT -> waiting_at_line--;
			if :: stray[pm[p].m]++ :: skip fi
		:: else
		fi;
		pm[p].state = P_FREE; pm[p].m = 0; pm[p].tok = 0; pm[p].att = 0; pm[p].maybe = 0;
		pm[p].oc = 0; pm[p].pending = 0; pm[p].net = 0;
		k++
	:: else -> break
	od;
	alive[inc] = 0; k = 0; p = 0
}

inline set_free(pp) {
	d_step {
	pm[pp].state = P_FREE; pm[pp].m = 0; pm[pp].tok = 0; pm[pp].att = 0; pm[pp].maybe = 0;
	pm[pp].oc = 0; pm[pp].pending = 0; pm[pp].net = 0;
	je[pp].id = 0; je[pp].tok = 0; je[pp].asked = 0; je[pp].complete = 0; je[pp].status = 0 }
}

inline remove_file(inc) {
	file[inc] = 0; k = 0;
	do
	:: k < PL -> p = AT(inc, k);
		je[p].id = 0; je[p].tok = 0; je[p].asked = 0; je[p].complete = 0; je[p].status = 0; k++
	:: else -> break
	od;
	k = 0; p = 0
}

#define CLAIMABLE(x)	(d[x].st == QUEUED && d[x].lease == 0)
byte claim_m;				/* the row that an open claim has locked */
#ifdef MUT_TWO_CLAIM
#define MAY_CLAIM		true
#else
#define MAY_CLAIM		(claim_lock == 0)
#endif
#ifdef MUT_ROW_UNLOCKED
#define LOCKED(x)		false
#else
#define LOCKED(x)		(claim_lock != 0 && claim_m == x)
#endif
#ifdef MUT_CLOCK_RESCUE
#define ORPHAN(y)		(d[y].lease != 0 && d[y].owner != cur[x] + 1)
#else
#define ORPHAN(y)		(d[y].lease != 0 && d[y].owner != cur[x] + 1 && !alive[d[y].owner - 1])
#endif
#ifdef MUT_OTHER_LEASE
#define SAME_LEASE(q)	true
#else
#define SAME_LEASE(q)	(je[q].tok == r_tok)
#endif
#define HAS_LEASE(inc)	(d[0].lease != 0 && d[0].owner == inc + 1 || d[M-1].lease != 0 && d[M-1].owner == inc + 1)
/* the first and last place of process x, and a choice between them */
#define P0				AT(cur[x], 0)
#define P1				AT(cur[x], PL-1)
#define ANY(is)			(LIVE(x) && (is(P0) || is(P1)))
#define CHOOSE(is)		if :: is(P0) -> p = P0 :: PL > 1 && is(P1) -> p = P1 fi
#define ANY_M(is)		(is(0) || is(M-1))
#define CHOOSE_M(is)	if :: is(0) -> m = 0 :: M > 1 && is(M-1) -> m = M-1 fi
/* an incarnation: INC <= 6, the init process sees to it */
#define NTH(is, j)		(j < INC && is(j % INC))
#define SOME(is)		(NTH(is, 0) || NTH(is, 1) || NTH(is, 2) || NTH(is, 3) || NTH(is, 4) || NTH(is, 5))
#define CHOOSE_INC(is)	if :: NTH(is, 0) -> me = 0 :: NTH(is, 1) -> me = 1 :: NTH(is, 2) -> me = 2 :: NTH(is, 3) -> me = 3 :: NTH(is, 4) -> me = 4 :: NTH(is, 5) -> me = 5 fi
#define LIVING(j)		(alive[j])
#define ENTERED(q)		(pm[q].state == P_ENTRY)
#define CLAIMED(q)		(pm[q].state == P_CLAIMED)
#define ASKED(q)		(pm[q].state == P_ASKED)
#define SENT(q)			(pm[q].state == P_SENT)
#define ANSWERED(q)		(pm[q].state == P_SENT && pm[q].net > N_TAKEN)
#define DONE(q)			(pm[q].state == P_DONE)
#define EMPTY(q)		(pm[q].state == P_FREE || pm[q].state == P_KEPT)
#ifdef MUT_QUIT_FULL
#define EMPTY_HANDS		true
#else
#define EMPTY_HANDS		(EMPTY(P0) && EMPTY(P1))
#endif
#ifdef MUT_DEADLINE_FIRST
#define SILENT(q)		(pm[q].state == P_SENT)
#else
#define SILENT(q)		(pm[q].state == P_SENT && pm[q].net <= N_TAKEN)
#endif
#define PENDING(q)		(pm[q].state == P_KEPT && pm[q].pending)
#ifdef MUT_FREE_EARLY
#define RELEASABLE(q)	(pm[q].state == P_KEPT)
#else
#define RELEASABLE(q)	(pm[q].state == P_KEPT && !pm[q].pending)
#endif
#ifdef MUT_REUSE
#define USABLE(q)		(pm[q].state == P_FREE || pm[q].state == P_KEPT)
#else
#define USABLE(q)		(pm[q].state == P_FREE)
#endif

inline end_step() { d_step { me = 0; p = 0; m = 0; o = 0; t = 0; next = 0; i = 0; k = 0; believed = 0 } }

proctype Claimer(byte x) {
	byte r_m, r_tok, r_own;
	do
	/* start: session lock, journal file */
	:: atomic { !LIVE(x) && incs < INC && !(ALONE && SOME(LIVING)) -> cur[x] = incs; alive[incs] = 1; file[incs] = 1; incs++ }

	/* claim: entries, then the leases, durable */
	:: atomic { MAY_CLAIM && ANY_M(CLAIMABLE) && ANY(USABLE) ->
		CHOOSE_M(CLAIMABLE);
		if :: USABLE(P0) -> p = P0 :: else -> p = P1 fi;
		set_free(p);
		claim_lock = x + 1; claim_m = m;
		pm[p].state = P_ENTRY; pm[p].m = m; pm[p].tok = next_token; next_token++;
		pm[p].att = d[m].att + 1;
#ifndef MUT_CLAIM_FORGETS
		pm[p].maybe = d[m].maybe;
#endif
		/* what was heard of as arrived is not claimed again */
		if :: known[m] -> once_broken = 1 :: else fi;
#ifndef MUT_ENTRY_LATE
		je[p].id = m + 1; je[p].tok = pm[p].tok;
#endif
		check(); end_step() };
	   atomic { if
		:: !LIVE(x)
		:: else -> CHOOSE(ENTERED); m = pm[p].m;
			d[m].lease = pm[p].tok; d[m].owner = cur[x] + 1;
			pm[p].state = P_CLAIMED; claim_lock = 0; claim_m = 0; unflushed = 1;
#ifndef MUT_CLAIM_ASYNC
			flush();
#endif
		fi; check(); end_step() };
#ifdef MUT_ENTRY_LATE
	   atomic { if
		:: !LIVE(x)
		:: else -> CHOOSE(CLAIMED); je[p].id = pm[p].m + 1; je[p].tok = pm[p].tok
		fi; end_step() }
#endif

	/* paused, out of time ... since the claim: back, as it came */
	:: atomic { ANY(CLAIMED) && drops < DROP -> drops++;
		CHOOSE(CLAIMED); pm[p].state = P_DONE; pm[p].oc = O_DROP; end_step() }
	/* no connection */
	:: atomic { ANY(CLAIMED) && fails < FAIL -> fails++;
		CHOOSE(CLAIMED); pm[p].state = P_DONE; pm[p].oc = O_NOT_SENT; end_step() }
	/* the journal, then the bytes */
	:: atomic { ANY(CLAIMED) -> CHOOSE(CLAIMED);
#ifdef MUT_JOURNAL_AFTER
		pm[p].state = P_ASKED; pm[p].net = N_TRANSIT; waiting_at_line++;
#else
		pm[p].state = P_ASKED; je[p].asked = 1;
#endif
		end_step() }
	:: atomic { ANY(ASKED) -> CHOOSE(ASKED);
		pm[p].state = P_SENT;
#ifdef MUT_JOURNAL_AFTER
		je[p].asked = 1;
#else
		pm[p].net = N_TRANSIT; waiting_at_line++;
#endif
		check(); end_step() }
	/* fewer bytes taken than the whole request */
	:: atomic { ANY(ASKED) && fails < FAIL -> fails++;
		CHOOSE(ASKED); pm[p].state = P_DONE; pm[p].oc = O_SHORT;
#ifdef MUT_TLS_REST
		stray[pm[p].m]++;
#endif
		check(); end_step() }
#ifdef MUT_REWIND
	/* the connection broke: the body is given a second time */
#define BROKEN(q)		(pm[q].state == P_SENT && pm[q].net == N_TRANSIT && stray[pm[q].m] == 0)
	:: atomic { ANY(BROKEN) -> CHOOSE(BROKEN); stray[pm[p].m]++; end_step() }
#endif
	/* a complete answer */
	:: atomic { ANY(ANSWERED) -> CHOOSE(ANSWERED);
		pm[p].state = P_DONE; pm[p].oc = pm[p].net; pm[p].net = N_NONE;
		if :: pm[p].oc == O_SERVER_ERROR -> amb[pm[p].m] = 1 :: else fi;
#ifndef MUT_ANSWER_NOT_NOTED
		je[p].status = pm[p].oc; je[p].complete = 1;
#endif
		check(); end_step() }
#ifndef MUT_NO_TIMEOUT
	/* none, and the time is over; what lies in the kernel is read before */
	:: atomic { ANY(SILENT) -> CHOOSE(SILENT);
		if :: pm[p].net <= N_TAKEN -> amb[pm[p].m] = 1 :: else fi;
		if :: pm[p].net == N_TRANSIT -> waiting_at_line--; if :: stray[pm[p].m]++ :: skip fi :: else fi;
		pm[p].net = N_NONE; pm[p].state = P_DONE;
#ifdef MUT_ERROR_CODE
		if :: pm[p].oc = O_NOT_SENT :: pm[p].oc = O_AMBIGUOUS fi;
#else
		pm[p].oc = O_AMBIGUOUS;
#endif
		check(); end_step() }
#endif

	/* record */
	:: atomic { ANY(DONE) -> CHOOSE(DONE); m = pm[p].m;
		decide(pm[p].oc, pm[p].att, pm[p].maybe);
		write_record(m, pm[p].tok, pm[p].oc, pm[p].att);
		pm[p].state = P_KEPT; pm[p].pending = 1;
#if !ASYNC
		flush();
#endif
		check(); end_step() }
	/* the entry is free once its record is flushed */
	:: atomic { ANY(RELEASABLE) -> CHOOSE(RELEASABLE);
		set_free(p); end_step() }

	/* the journal is full, or there is nothing else to do */
#ifndef MUT_NO_FLUSH
	:: atomic { ANY(PENDING) -> flush(); end_step() }
#endif

#ifndef MUT_NO_RESCUE
	/* rescue: the list of leases, then lock, journal, record */
	:: atomic { LIVE(x) && ANY_M(ORPHAN) -> CHOOSE_M(ORPHAN);
		r_m = m; r_tok = d[m].lease; r_own = d[m].owner - 1;
		end_step() };
	   atomic { if
		:: !LIVE(x)
		:: else ->
#ifdef MUT_BOOT
			believed = file[r_own];
#else
			believed = file[r_own] && !old_boot[r_own];
#endif
			o = O_AMBIGUOUS; k = 0;
			do
			:: k < PL -> p = AT(r_own, k);
				if
				:: believed && je[p].id == r_m + 1 && SAME_LEASE(p) ->
					if
					:: !je[p].asked -> o = O_DROP
					:: je[p].asked && je[p].complete -> o = je[p].status
					:: else
					fi
				:: else
				fi; k++
			:: else -> break
			od;
#ifdef MUT_RESCUE_RETURNS
			if :: o == O_AMBIGUOUS -> o = O_DROP :: else fi;
#endif
			t = d[r_m].att + 1;
#ifdef MUT_RESCUE_FORGETS
			decide(o, t, 0);
#else
			decide(o, t, d[r_m].maybe);
#endif
			write_record(r_m, r_tok, o, t);
#if !ASYNC
			flush();
#endif
#ifdef MUT_SWEEP_WITH_RECORD
			remove_file(r_own);
#endif
			check()
		fi; r_m = 0; r_tok = 0; r_own = 0; end_step() }
#endif

	/* sweep: files of the dead that have no leases */
#ifdef MUT_SWEEP_LEASED
#define LEFT(j)			(j < incs && file[j] && j != cur[x] && !alive[j])
#elif defined(MUT_SWEEP_LIVING)
#define LEFT(j)			(j < incs && file[j] && j != cur[x] && !HAS_LEASE(j))
#else
#define LEFT(j)			(j < incs && file[j] && j != cur[x] && !HAS_LEASE(j) && !alive[j])
#endif
	:: atomic { LIVE(x) && SOME(LEFT) -> CHOOSE_INC(LEFT);
#if ASYNC
#ifndef MUT_SWEEP_UNFLUSHED
		flush();
#endif
#endif
		remove_file(me); end_step() }

	/* orderly end: everything recorded */
	:: atomic { LIVE(x) && quits < QUIT && EMPTY_HANDS -> quits++;
#ifndef MUT_QUIT_UNFLUSHED
		flush();
#endif
		me = cur[x]; remove_file(me); forget(me); end_step() }
	od
}

inline fall() {
	claim_lock = 0; claim_m = 0; me = 0;
	do
	:: me < incs && alive[me] -> forget(me); me++
	:: me < incs && !alive[me] -> me++
	:: else -> break
	od;
	i = 0;
	do
	:: i < M ->
		d[i].st = f[i].st; d[i].lease = f[i].lease; d[i].owner = f[i].owner;
		d[i].att = f[i].att; d[i].maybe = f[i].maybe;
		d[i].delivered = f[i].delivered; d[i].event = f[i].event; i++
	:: else -> break
	od;
	unflushed = 0; me = 0; i = 0
}

#define STRAY(y)		(stray[y] > 0)
#define EVENT(y)		(copies[y] > 0 && !event_sent[y])
#define FOLDABLE(y)		(d[y].event && !LOCKED(y))
#ifdef MUT_CANCEL_LEASED
#define CANCELLABLE(y)	(d[y].st == QUEUED && !LOCKED(y))
#else
#define CANCELLABLE(y)	(d[y].st == QUEUED && !LOCKED(y) && d[y].lease == 0)
#endif
#ifdef MUT_REDRIVE_UNKNOWN
#define REDRIVABLE(y)	(d[y].st == FAILED || d[y].st == CANCELLED || d[y].st == REFUSED || d[y].st == UNKNOWN)
#else
#define REDRIVABLE(y)	(d[y].st == FAILED || d[y].st == CANCELLED || d[y].st == REFUSED)
#endif

proctype World() {
	do
	/* LINE takes a request that somebody waits for */
	:: atomic { waiting_at_line > 0 ->
		k = 0; t = INC * PL;
		do
		:: k < INC * PL && pm[k].net == N_TRANSIT -> if :: t = k :: t < INC * PL fi; k++
		:: k < INC * PL && pm[k].net != N_TRANSIT -> k++
		:: k >= INC * PL -> break
		od;
		p = t; m = pm[p].m; waiting_at_line--;
		if
		:: copies[m]++; if :: pm[p].net = O_ACCEPTED :: pm[p].net = O_SERVER_ERROR :: pm[p].net = N_TAKEN fi
		:: pm[p].net = O_REFUSED
		:: throttles < THROTTLE -> throttles++; pm[p].net = O_THROTTLED
		:: pm[p].net = O_SERVER_ERROR
		:: pm[p].net = N_TAKEN
		fi; check(); end_step() }
	/* ... and one that nobody waits for any more */
	:: atomic { ANY_M(STRAY) -> CHOOSE_M(STRAY);
		stray[m]--; if :: copies[m]++ :: skip fi; check(); end_step() }
	/* the delivery event, at any time */
	:: atomic { ANY_M(EVENT) -> CHOOSE_M(EVENT);
		event_sent[m] = 1; d[m].event = 1; flush(); end_step() }
	/* folded by whichever process works */
	:: atomic { ANY_M(FOLDABLE) -> CHOOSE_M(FOLDABLE);
		d[m].event = 0; unflushed = 1;
		if
		:: d[m].lease != 0 -> d[m].delivered = 1
		:: else -> d[m].st = DELIVERED; d[m].maybe = 0; d[m].att = 0
		fi;
		flush(); known[m] = 1; check(); end_step() }
	/* the WAL writer; without it, too, nothing may wait for ever */
#if WALWRITER
	:: atomic { unflushed -> flush(); end_step() }
#endif
	/* cancel(), expiry */
	:: atomic { cancels < CANCEL && ANY_M(CANCELLABLE) -> CHOOSE_M(CANCELLABLE);
		cancels++;
#ifdef MUT_CANCEL_MAYBE
		d[m].st = CANCELLED;
#else
		d[m].st = (d[m].maybe -> UNKNOWN : CANCELLED);
#endif
		d[m].lease = 0; d[m].owner = 0; d[m].maybe = 0; d[m].att = 0; flush(); check(); end_step() }
	/* redrive() without allow_duplicates */
	:: atomic { redrives < REDRIVE && ANY_M(REDRIVABLE) -> CHOOSE_M(REDRIVABLE);
		redrives++; d[m].st = QUEUED; d[m].att = 0; d[m].maybe = 0; flush(); check(); end_step() }

	/* ---- deaths ---- */
	:: atomic { crashes < CRASH && incs > 0 -> crashes++; fall(); check(); end_step() }
	:: atomic { powers < POWER && incs > 0 -> powers++; fall();
		me = 0;
		do
		:: me < incs -> old_boot[me] = 1; k = 0;
			do
			/* a page of the journal may be older than the claim's commit */
			:: k < PL -> if :: je[AT(me, k)].asked = 0 :: skip fi; k++
			:: else -> break
			od; me++
		:: else -> break
		od;
		m = 0;
		do :: m < M -> if :: d[m].lease != 0 -> amb[m] = 1 :: else fi; m++ :: else -> break od;
		check(); end_step() }
	:: atomic { dies < DIE && (LIVE(0) || LIVE(C-1)) ->
		if :: LIVE(0) -> t = 0 :: C > 1 && LIVE(C-1) -> t = C-1 fi;
		dies++; me = cur[t];
#ifndef MUT_LOCK_STAYS
		if :: claim_lock == t + 1 -> claim_lock = 0; claim_m = 0 :: else fi;
#endif
		forget(me); check(); end_step() }

	/* nothing moves any more: did every message end? */
	:: timeout -> atomic {
		m = 0;
		do :: m < M -> if :: d[m].st == QUEUED || d[m].lease != 0 -> loss_broken = 1 :: else fi; m++ :: else -> break od;
		assert(!loss_broken); break }
	od
}

init { atomic {
	i = 0;
	do :: i < C -> cur[i] = INC; run Claimer(i); i++ :: else -> break od;
	i = 0; run World() } }
