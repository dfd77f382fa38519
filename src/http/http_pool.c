/*-------------------------------------------------------------------------
 *
 * http_pool.c
 *		What the HTTP client has around libcurl: multi handles, descriptors,
 *		signals, the clock.
 *
 * Pools
 *
 * libcurl looks for a connection in a list each time it sends or receives: a
 * pool, which is a multi handle, therefore holds few.
 *
 * Waiting
 *
 * All sockets are in one epoll set, whose descriptor the caller waits for
 * beside its own events (a latch): ours for reading, all their life, and for
 * writing when a send stopped half-way; those of connections in the making as
 * libcurl wants it.
 *
 * Signals: libcurl's resolver runs in threads, and a thread inherits the mask.
 * All signals are blocked around everything that may start one, or the
 * handlers of PostgreSQL would run in a foreign thread.  The process must
 * ignore SIGPIPE, as every PostgreSQL process does.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "http/http_internal.h"

/* Connections in a pool; see the top of this file. */
#define POOL_CONNECTIONS	64

static int	on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
					  void *socketp);
static int	on_timer(CURLM *multi, long timeout_ms, void *arg);

/* ---------- pools ---------- */

/*
 * A pool that may take a connection.  NULL = no memory.
 */
Pool *
ln_pool_get(HttpClient *client)
{
	Pool	   *pool;

	for (pool = client->pools; pool != NULL; pool = pool->next)
	{
		if (!pool->stale && pool->nconns < POOL_CONNECTIONS)
			return pool;
	}

	pool = calloc(1, sizeof(Pool));
	if (pool == NULL)
		return NULL;
	pool->client = client;
	pool->deadline_us = -1;
	ln_mask_signals(client);
	pool->multi = curl_multi_init();
	if (pool->multi == NULL)
	{
		free(pool);
		return NULL;
	}

	/* we count ourselves; it must never close one to make room */
	curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS,
					  2L * POOL_CONNECTIONS);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
#if LIBCURL_VERSION_NUM >= 0x081400

	/*
	 * as CURLOPT_QUICK_EXIT below: resolver threads are the pool's since 8.20
	 */
	curl_multi_setopt(pool->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif

	pool->next = client->pools;
	client->pools = pool;
	return pool;
}

/*
 * Free a pool without connections.
 */
void
ln_pool_free(Pool *pool)
{
	int			fd;

	ln_mask_signals(pool->client);
	curl_multi_cleanup(pool->multi);

	/* descriptors that libcurl closed without a word */
	for (fd = 0; fd < pool->client->nfds; fd++)
	{
		if (pool->client->fds[fd].pool == pool)
		{
			if (pool->client->fds[fd].registered != 0)
				ln_fd_register(pool->client, fd, 0);
			pool->client->fds[fd].pool = NULL;
			pool->client->fds[fd].wanted = 0;
		}
	}
	free(pool);
}

/*
 * Free the pools that nothing is in, but one, which knows addresses and
 * authorities.
 */
void
ln_pool_sweep(HttpClient *client)
{
	Pool	  **link = &client->pools;
	bool		kept = false;

	while (*link != NULL)
	{
		Pool	   *pool = *link;

		if (pool->nconns == 0 && (pool->stale || kept))
		{
			*link = pool->next;
			ln_pool_free(pool);
			continue;
		}
		if (!pool->stale)
			kept = true;
		link = &pool->next;
	}
}

/*
 * Ask libcurl for its deadline.  It calls on_timer() only when it believes the
 * deadline has changed, which goes wrong when a timer fires a little early.
 */
void
ln_pool_timer(Pool *pool)
{
	long		timeout_ms = -1;

	if (curl_multi_timeout(pool->multi, &timeout_ms) == CURLM_OK)
		(void) on_timer(pool->multi, timeout_ms, pool);
}

/* ---------- descriptors ---------- */

/*
 * Make the table hold this descriptor.
 */
bool
ln_fd_reserve(HttpClient *client, int fd)
{
	int			n = client->nfds > 0 ? client->nfds : 64;
	FdState    *fds;

	if (fd < client->nfds)
		return true;
	while (n <= fd)
		n *= 2;

	fds = realloc(client->fds, (size_t) n * sizeof(*fds));
	if (fds == NULL)
		return false;
	client->fds = fds;
	memset(fds + client->nfds, 0,
		   (size_t) (n - client->nfds) * sizeof(*fds));
	client->nfds = n;
	return true;
}

/*
 * Enter, change or remove (events 0) a descriptor in the epoll set.
 */
void
ln_fd_register(HttpClient *client, int fd, uint32_t events)
{
	FdState    *st;
	struct epoll_event ev;
	int			op;

	/* a connection that libcurl has closed: nothing to wait for */
	if (fd < 0 || fd >= client->nfds)
		return;
	st = &client->fds[fd];
	if (st->registered == events)
		return;
	if (events == 0)
		op = EPOLL_CTL_DEL;
	else if (st->registered == 0)
		op = EPOLL_CTL_ADD;
	else
		op = EPOLL_CTL_MOD;

	memset(&ev, 0, sizeof(ev));
	ev.events = events;
	ev.data.fd = fd;
	if (epoll_ctl(client->epfd, op, fd, &ev) != 0)
	{
		/* a descriptor that was closed and opened behind our back */
		if (op == EPOLL_CTL_ADD && errno == EEXIST)
			(void) epoll_ctl(client->epfd, EPOLL_CTL_MOD, fd, &ev);
		else if (op == EPOLL_CTL_MOD && errno == ENOENT)
			(void) epoll_ctl(client->epfd, EPOLL_CTL_ADD, fd, &ev);
		/* anything else ends with the time-out of the transfer */
	}
	st->registered = events;
}

/* ---------- libcurl's callbacks: they never raise, nor palloc ---------- */

/* libcurl wants to know when fd is ready, or no longer. */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	Pool	   *pool = arg;
	HttpClient *client = pool->client;
	FdState    *st;

	(void) easy;
	(void) socketp;

	/* without memory for it, the connection ends with its time-out */
	if (!ln_fd_reserve(client, fd))
		return 0;

	st = &client->fds[fd];
	if (st->conn != NULL)
		return 0;				/* it is ours by now */
	st->pool = pool;
	switch (what)
	{
		case CURL_POLL_IN:
			st->wanted = EPOLLIN;
			break;
		case CURL_POLL_OUT:
			st->wanted = EPOLLOUT;
			break;
		case CURL_POLL_INOUT:
			st->wanted = EPOLLIN | EPOLLOUT;
			break;
		default:
			st->wanted = 0;
			break;
	}
	ln_fd_register(client, fd, st->wanted);
	return 0;
}

/* libcurl wants to be called in timeout_ms; -1 = never. */
static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	Pool	   *pool = arg;

	(void) multi;
	if (timeout_ms < 0)
		pool->deadline_us = -1;
	else if (timeout_ms == 0)
		pool->deadline_us = 0;
	else
		pool->deadline_us = ln_now_us() + (int64_t) timeout_ms * 1000;
	return 0;
}

/* ---------- odds and ends ---------- */

/*
 * Block everything that can be waited for; what a fault raises stays, since
 * the kernel kills a process that blocks those.  Once per call of ours.
 */
void
ln_mask_signals(HttpClient *client)
{
	sigset_t	all;

	if (client->masked)
		return;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGSYS);
	sigemptyset(&client->mask);
	pthread_sigmask(SIG_BLOCK, &all, &client->mask);
	client->masked = true;
}

void
ln_unmask_signals(HttpClient *client)
{
	if (!client->masked)
		return;
	client->masked = false;
	pthread_sigmask(SIG_SETMASK, &client->mask, NULL);
}

/*
 * Monotonic time in microseconds; never 0.
 */
int64_t
ln_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000 + 1;
}
