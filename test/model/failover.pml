/*
 * failover.pml: a primary and its standbys.  What may a promoted standby send,
 * and what the old primary when it comes back?
 *
 * One server alone is the subject of delivery.pml; here an attempt is short:
 * claimed, sent (LINE takes it), recorded.  Replication is a copy: a standby
 * that is attached takes over the whole database of its primary at any moment,
 * or not for a long time; so it holds any state that the primary went through,
 * which is what a prefix of the WAL is.  "Flushed by s" = s copied after it.
 *
 *	N		servers, 0 is the first primary		M	messages
 *	STOP	clean shutdowns				CRASH	crashes of a primary
 *	PROMOTE	promotions					CUT		broken connections of standbys
 *	FREE	verbs that free a row (resume, arm, reschedule, alter_channel; or
 *			the end of an order_key's head)		HOLD	pauses
 *	STALE	a primary that was stopped cleanly may start as a primary again
 *			although a standby has been promoted meanwhile
 *	TIME	the fence ends by time, too (README.md says what that assumes)
 *	SYNC	claims wait for standby 1
 *	NOTED	the primary has noted its standbys from the beginning
 *	CLEAN	nothing but planned switchovers: then nothing may be unknown
 */
#ifndef N
#define N 2
#endif
#ifndef M
#define M 1
#endif
#ifndef STOP
#define STOP 0
#endif
#ifndef CRASH
#define CRASH 0
#endif
#ifndef PROMOTE
#define PROMOTE 1
#endif
#ifndef CUT
#define CUT 1
#endif
#ifndef FREE
#define FREE 0
#endif
#ifndef HOLD
#define HOLD 0
#endif
#ifndef STALE
#define STALE 0
#endif
#ifndef TIME
#define TIME 0
#endif
#ifndef SYNC
#define SYNC 0
#endif
#ifndef CLEAN
#define CLEAN 0
#endif

/* the standbys are noted from the beginning */
#ifndef NOTED
#define NOTED CLEAN
#endif

#define NONE 0
#define QUEUED 1
#define LEASED 2
#define ACCEPTED 3
#define UNKNOWN 4

/* the hand-over note in table identity */
#define N_NONE 0
#define N_GIVEN 1			/* whoever is on the list may take the rows */
#define N_TAKING 2			/* wanted by the server that wrote this */

typedef Db {
	byte st[M]; byte owner[M];
	bit blocked[M];			/* paused, disarmed, quiet, later, behind another */
	bit freed[M];			/* by a change that standbys may not have yet */
	bit doubt[M];			/* perhaps sent by the server before the promotion */
	bit fenced[M];			/* waits for the end of N_TAKING */
	byte note;
	bit known[N]			/* standbys the primary has noted */
};
Db d[N];

/* servers */
bit up[N], prim[N], stopping[N];
bit conn[N];				/* standby: attached */
byte from[N];				/* ... to this primary */
bit fresh[N];				/* less than G since it had all that was there */
bit lost[N];				/* never attaches again */
bit ignore_note[N];
/* claimer and journal of a server, which stay there */
byte hand[N * M];			/* 0 nothing, 1 claimed, 2 sent */
bit asked[N * M];
bit unsynced[N * M];		/* SYNC: the standby has not flushed the claim */
/* who has not flushed what this server waits for */
bit need_take[N * N], need_free[N * N];

byte stops, crashes, promotes, cuts, frees, holds, starts;
bit created[M];

/* ghosts */
byte copies[M];
bit amb[M];
bit once_broken, truth_broken, loss_broken, clean_broken;

byte i, k, m, s, t;

#define AT(n, x)	((n) * M + (x))
#define OF(n, x)	((n) * N + (x))
#define PRIMARY(n)	(up[n] && prim[n])
#define ANY_PRIMARY	(PRIMARY(0) || PRIMARY(1) || PRIMARY(N-1))
#define ANY_M(is)	(is(0) || is(M-1))
#define CHOOSE_M(is)	if :: is(0) -> m = 0 :: M > 1 && is(M-1) -> m = M-1 fi
#define SOME(is)	(is(0) || is(1) || is(N-1))
#define CHOOSE(is)	if :: is(0) -> s = 0 :: is(1) -> s = 1 :: N > 2 && is(N-1) -> s = N-1 fi
#define EMPTY_HAND(n)	(hand[AT(n, 0)] == 0 && hand[AT(n, M-1)] == 0)
#define KNOWS_ANY(n)	(d[n].known[0] || d[n].known[1] || d[n].known[N-1])
#define TAKE_WAITS(n)	(need_take[OF(n, 0)] || need_take[OF(n, 1)] || need_take[OF(n, N-1)])
#define FREE_WAITS(n)	(need_free[OF(n, 0)] || need_free[OF(n, 1)] || need_free[OF(n, N-1)])

inline end_step() { d_step {
	k = 0;
	do
	:: k < M ->
		if :: copies[k] > 1 -> once_broken = 1 :: else fi;
		i = 0;
		do
		:: i < N ->
			if
			:: d[i].st[k] == ACCEPTED && copies[k] == 0 -> truth_broken = 1
			:: d[i].st[k] == UNKNOWN && !amb[k] -> truth_broken = 1
			:: CLEAN && d[i].st[k] == UNKNOWN -> clean_broken = 1
			:: else
			fi; i++
		:: else -> break
		od; k++
	:: else -> break
	od;
	assert(!once_broken); assert(!truth_broken); assert(!clean_broken);
	i = 0; k = 0; m = 0; s = 0; t = 0 } }

/* standby s has flushed all that its primary t has */
inline copy(s, t) { d_step {
	k = 0;
	do
	:: k < M ->
		d[s].st[k] = d[t].st[k]; d[s].owner[k] = d[t].owner[k]; d[s].blocked[k] = d[t].blocked[k];
		d[s].freed[k] = d[t].freed[k]; d[s].doubt[k] = d[t].doubt[k]; d[s].fenced[k] = d[t].fenced[k];
		if :: s == 1 -> unsynced[AT(t, k)] = 0 :: else fi;
		k++
	:: else -> break
	od;
	d[s].note = d[t].note;
	i = 0;
	do :: i < N -> d[s].known[i] = d[t].known[i]; i++ :: else -> break od;
	need_take[OF(t, s)] = 0; need_free[OF(t, s)] = 0;
#ifdef MUT_ANY_STANDBY
	i = 0;
	do :: i < N -> need_take[OF(t, i)] = 0; i++ :: else -> break od;
#endif
	fresh[s] = 1; k = 0; i = 0 } }

/* claims wait until the standbys that are known have flushed this */
inline wait_for_known(n) {
	k = 0;
	do :: k < N -> need_free[OF(n, k)] = d[n].known[k] && k != n; k++ :: else -> break od;
	k = 0
}

/* every row that is there waits; the others on the list must agree */
inline take(n) {
	d[n].note = N_TAKING;
	k = 0;
	do :: k < M -> d[n].fenced[k] = (d[n].st[k] == QUEUED); k++ :: else -> break od;
	k = 0;
	do :: k < N -> need_take[OF(n, k)] = d[n].known[k] && k != n; k++ :: else -> break od;
	k = 0
}

inline taken(n) {
	d[n].note = N_NONE; k = 0;
	do :: k < M -> d[n].fenced[k] = 0; k++ :: else -> break od;
	k = 0
}

#define BLOCKED(x)		(d[n].st[x] == QUEUED && d[n].blocked[x])
#define PAUSABLE(x)		(d[n].st[x] == QUEUED && !d[n].blocked[x])
#define FREED(x)		(d[n].freed[x])
#define NEW(x)			(!created[x])
#ifdef MUT_CLAIM_AFTER_NOTE
#define MAY_CLAIM		true
#else
#define MAY_CLAIM		(!stopping[n] && (d[n].note != N_GIVEN || ignore_note[n]))
#endif
#define CLAIMABLE(x)	(d[n].st[x] == QUEUED && !d[n].blocked[x] && !d[n].freed[x] && !d[n].doubt[x] && !d[n].fenced[x])
#ifdef MUT_CUT_SHORT
#define SENDABLE(x)		(hand[AT(n, x)] == 1)
#else
#define SENDABLE(x)		(hand[AT(n, x)] == 1 && !unsynced[AT(n, x)])
#endif
#define UNSENT(x)		(hand[AT(n, x)] == 1 && stopping[n])
#define SENT(x)			(hand[AT(n, x)] == 2)
#define DOUBTFUL(x)		(d[n].st[x] == QUEUED && (d[n].doubt[x] || (d[n].fenced[x] && !d[n].blocked[x] && !CLEAN)))
#define UNNOTED(x)		(conn[x] && up[x] && from[x] == n && !d[n].known[x])
#define GONE(x)			(d[n].known[x] && !conn[x] && x != n)

#define STALE_ONLY	(!(PRIMARY(0) && d[0].note == N_NONE) && !(PRIMARY(1) && d[1].note == N_NONE) && !(PRIMARY(N-1) && d[N-1].note == N_NONE))
proctype Server(byte n) {
	do
	/* ---- clients and operators ---- */
	:: atomic { PRIMARY(n) && ANY_M(NEW) -> CHOOSE_M(NEW);
		created[m] = 1; d[n].st[m] = QUEUED; if :: d[n].blocked[m] = 1 :: d[n].blocked[m] = 0 fi; printf("%d: insert %d\n", n, m); end_step() }
	:: atomic { PRIMARY(n) && frees < FREE && ANY_M(BLOCKED) -> CHOOSE_M(BLOCKED); frees++;
		d[n].blocked[m] = 0;
#ifndef MUT_VERB_AT_ONCE
		if :: KNOWS_ANY(n) -> d[n].freed[m] = 1; wait_for_known(n) :: else fi;
#endif
#ifdef MUT_FORGET_SIBLINGS
		if :: n > 0 -> d[n].freed[m] = 0 :: else fi;
#endif
		printf("%d: free %d\n", n, m); end_step() }
	:: atomic { PRIMARY(n) && holds < HOLD && ANY_M(PAUSABLE) -> CHOOSE_M(PAUSABLE); holds++;
		d[n].blocked[m] = 1; printf("%d: pause %d\n", n, m); end_step() }

	/* ---- the worker ---- */
	/* all known standbys have the change */
	:: atomic { PRIMARY(n) && ANY_M(FREED) && !FREE_WAITS(n) ->
		k = 0; do :: k < M -> d[n].freed[k] = 0; k++ :: else -> break od; printf("%d: freed: known by all %d\n", n, m); end_step() }
	/* ... or G has passed since: then it has for them, too */
#ifndef MUT_NO_END_OF_WAIT
	:: atomic { PRIMARY(n) && ANY_M(FREED) && FREE_WAITS(n) ->
		k = 0;
		do
		:: k < N -> if :: need_free[OF(n, k)] && !prim[k] -> fresh[k] = 0 :: else fi; need_free[OF(n, k)] = 0; k++
		:: else -> break
		od; printf("%d: freed: G over %d\n", n, m); end_step() }
#endif
	/* a standby is noted; forgotten when G has passed without it */
	:: atomic { PRIMARY(n) && d[n].note == N_NONE && SOME(UNNOTED) -> CHOOSE(UNNOTED); d[n].known[s] = 1; printf("%d: note standby %d\n", n, m); end_step() }
#ifndef MUT_NO_END_OF_WAIT
	:: atomic { PRIMARY(n) && d[n].note == N_NONE && SOME(GONE) -> CHOOSE(GONE);
		d[n].known[s] = 0; if :: !prim[s] -> fresh[s] = 0 :: else fi; need_free[OF(n, s)] = 0; printf("%d: forget standby %d\n", n, m); end_step() }
#endif
	:: atomic { PRIMARY(n) && MAY_CLAIM && ANY_M(CLAIMABLE) -> CHOOSE_M(CLAIMABLE);
		d[n].st[m] = LEASED; d[n].owner[m] = n; hand[AT(n, m)] = 1; asked[AT(n, m)] = 0; unsynced[AT(n, m)] = SYNC;
		if :: ignore_note[n] -> ignore_note[n] = 0; d[n].note = N_NONE :: else fi; printf("%d: claim %d\n", n, m); end_step() }
	:: atomic { PRIMARY(n) && ANY_M(UNSENT) -> CHOOSE_M(UNSENT);
		d[n].st[m] = QUEUED; hand[AT(n, m)] = 0; unsynced[AT(n, m)] = 0; printf("%d: give back %d\n", n, m); end_step() }
	:: atomic { PRIMARY(n) && ANY_M(SENDABLE) -> CHOOSE_M(SENDABLE);
		hand[AT(n, m)] = 2; asked[AT(n, m)] = 1; copies[m]++; printf("%d: send %d\n", n, m); end_step() }
	:: atomic { PRIMARY(n) && ANY_M(SENT) -> CHOOSE_M(SENT);
		d[n].st[m] = ACCEPTED; hand[AT(n, m)] = 0; printf("%d: record %d\n", n, m); end_step() }
	/* in doubt until the end of the grace, or of their time */
	:: atomic { PRIMARY(n) && ANY_M(DOUBTFUL) -> CHOOSE_M(DOUBTFUL);
		d[n].st[m] = UNKNOWN; d[n].doubt[m] = 0; d[n].fenced[m] = 0; amb[m] = 1; printf("%d: end doubt %d\n", n, m); end_step() }
	/* the others have agreed */
	:: atomic { PRIMARY(n) && d[n].note == N_TAKING && !TAKE_WAITS(n) -> taken(n); printf("%d: taken back %d\n", n, m); end_step() }
#if TIME
	:: atomic { PRIMARY(n) && d[n].note == N_TAKING && TAKE_WAITS(n) ->
		k = 0;
		do
		:: k < N -> if :: need_take[OF(n, k)] && !prim[k] -> fresh[k] = 0 :: else fi; need_take[OF(n, k)] = 0; k++
		:: else -> break
		od; printf("%d: take: G over %d\n", n, m); end_step() }
#endif

	/* ---- an orderly end: note, then the rest of the shutdown ---- */
	:: atomic { PRIMARY(n) && !stopping[n] && stops < STOP -> stops++; stopping[n] = 1; printf("%d: stop begins %d\n", n, m); end_step() }
#ifdef MUT_NOTE_TOO_EARLY
	:: atomic { PRIMARY(n) && stopping[n] && d[n].note == N_NONE && KNOWS_ANY(n) -> d[n].note = N_GIVEN;
		k = 0; do :: k < M -> if :: d[n].st[k] == LEASED -> d[n].st[k] = QUEUED :: else fi; k++ :: else -> break od; printf("%d: note %d\n", n, m); end_step() }
#else
	:: atomic { PRIMARY(n) && stopping[n] && EMPTY_HAND(n) && d[n].note == N_NONE && KNOWS_ANY(n) -> d[n].note = N_GIVEN; printf("%d: note %d\n", n, m); end_step() }
#endif
	:: atomic { PRIMARY(n) && stopping[n] && EMPTY_HAND(n) && (d[n].note != N_NONE || !KNOWS_ANY(n)) ->
		/* the WAL senders end last: who is attached has all */
		s = 0;
		do
		:: s < N -> if :: s != n && conn[s] && from[s] == n && !prim[s] -> t = n; copy(s, t); conn[s] = 0 :: else fi; s++
		:: else -> break
		od;
		up[n] = 0; stopping[n] = 0; printf("%d: stop ends %d\n", n, m); end_step() }
	:: atomic { PRIMARY(n) && crashes < CRASH -> crashes++;
		up[n] = 0; stopping[n] = 0;
		s = 0; do :: s < N -> if :: from[s] == n -> conn[s] = 0 :: else fi; s++ :: else -> break od;
		printf("%d: crash %d\n", n, m); end_step() }
	/* start, and rescue by the journal */
	:: atomic { !up[n] && prim[n] ->
		up[n] = 1; m = 0;
		do
		:: m < M ->
			hand[AT(n, m)] = 0; unsynced[AT(n, m)] = 0;
			if
			:: d[n].st[m] == LEASED && d[n].owner[m] == n ->
				if :: asked[AT(n, m)] -> d[n].st[m] = UNKNOWN; amb[m] = 1 :: else -> d[n].st[m] = QUEUED fi
			:: else
			fi; m++
		:: else -> break
		od;
#ifdef MUT_RECOVERY_CHECKPOINT
		/* the checkpoint that ends crash recovery looks like that of a shutdown */
		if :: d[n].note == N_NONE -> d[n].note = N_GIVEN; ignore_note[n] = 1 :: d[n].note == N_GIVEN && ignore_note[n] :: else -> take(n) fi;
#else
		if
		:: d[n].note == N_GIVEN || d[n].note == N_TAKING ->
#ifdef MUT_NO_FENCE
			taken(n)
#else
			take(n)
#endif
		:: else
		fi;
#endif
#ifdef MUT_FORGET_PENDING
		k = 0; do :: k < M -> d[n].freed[k] = 0; k++ :: else -> break od;
#else
		wait_for_known(n);
#endif
		printf("%d: start %d\n", n, m); end_step() }

	/* ---- a standby ---- */
	:: atomic { up[n] && !prim[n] && conn[n] && PRIMARY(from[n]) -> s = n; t = from[n]; copy(s, t); printf("%d: replicate %d\n", n, m); end_step() }
	/* a former primary comes back as a standby */
	:: atomic { !up[n] && !prim[n] && ANY_PRIMARY -> up[n] = 1; conn[n] = 0; fresh[n] = 0; printf("%d: rejoin %d\n", n, m); end_step() }
#define ATTACHABLE(x)	(PRIMARY(x) && x != n)
	:: atomic { up[n] && !prim[n] && !conn[n] && !lost[n] && SOME(ATTACHABLE) -> CHOOSE(ATTACHABLE);
		conn[n] = 1; from[n] = s;
#ifdef MUT_FRESH_BY_CONTACT
		fresh[n] = 1;
#endif
		printf("%d: attach %d\n", n, m); end_step() }
	:: atomic { up[n] && !prim[n] && conn[n] && cuts < CUT -> cuts++; conn[n] = 0; if :: lost[n] = 1 :: skip fi; printf("%d: cut %d\n", n, m); end_step() }
	:: atomic { up[n] && !prim[n] && promotes < PROMOTE && (!ANY_PRIMARY || (STALE && STALE_ONLY)) &&
			(SYNC || promotes > 0 || n == 1) -> promotes++;
		/* standbys are alike, so the first one goes first; G may have passed */
		if :: fresh[n] = 0 :: skip fi;
		conn[n] = 0; prim[n] = 1; m = 0;
		/* the others are not primaries any more, unless somebody errs */
		s = 0; do :: s < N -> if :: s != n && !STALE -> prim[s] = 0 :: else fi; s++ :: else -> break od;
		do
		:: m < M -> if :: d[n].st[m] == LEASED -> d[n].st[m] = UNKNOWN; amb[m] = 1 :: else fi;
			hand[AT(n, m)] = 0; m++
		:: else -> break
		od;
#ifdef MUT_UNLISTED
#define LISTED	true
#else
#define LISTED	(d[n].known[n])
#endif
#ifdef MUT_DOUBT_FORGOTTEN
#define OLD_DOUBT(x)	false
#else
#define OLD_DOUBT(x)	d[n].doubt[x]
#endif
#ifdef MUT_STALE_IS_FRESH
#define IS_FRESH	(d[n].known[n])
#else
#ifdef MUT_UNKNOWN_IS_FRESH
#define IS_FRESH	(fresh[n])
#else
#define IS_FRESH	(fresh[n] && d[n].known[n])
#endif
#endif
		if
#ifdef MUT_SEND_AFTER_PROMOTION
		:: true -> taken(n)
#else
#ifndef MUT_NEVER_BELIEVE
		:: d[n].note == N_GIVEN && LISTED && (!TIME || IS_FRESH) ->
			d[n].known[n] = 0;
#ifdef MUT_SIBLINGS_IGNORED
			taken(n)
#else
			take(n)
#endif
		:: else ->
#else
		:: true ->
#endif
			taken(n); k = 0;
			do
			/* a synchronous standby has every claim */
			:: k < M -> d[n].doubt[k] = d[n].st[k] == QUEUED && (OLD_DOUBT(k) || !SYNC && (!d[n].blocked[k] || !IS_FRESH)); k++
			:: else -> break
			od
#endif
		fi;
		d[n].known[n] = 0;
		k = 0; do :: k < M -> d[n].freed[k] = d[n].freed[k] && d[n].st[k] == QUEUED; k++ :: else -> break od;
		wait_for_known(n);
		printf("%d: promote %d\n", n, m); end_step() }
	od
}

#define OPEN(x)	(d[t].st[x] == LEASED || (d[t].st[x] == QUEUED && !d[t].blocked[x]))
proctype World() {
end:	do
	/* nothing moves any more: did every message end? */
	:: timeout -> atomic {
		t = 0;
		do
		:: t < N -> if :: PRIMARY(t) && (OPEN(0) || OPEN(M-1)) -> loss_broken = 1 :: else fi; t++
		:: else -> break
		od;
		assert(!loss_broken); break }
	od
}

init { atomic {
	up[0] = 1; prim[0] = 1;
	i = 0;
	do :: i < N -> if :: i > 0 -> up[i] = 1; conn[i] = 1; from[i] = 0; d[0].known[i] = NOTED; d[i].known[i] = NOTED :: else fi; run Server(i); i++ :: else -> break od;
	i = 0; run World() } }
