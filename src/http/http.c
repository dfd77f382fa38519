/*-------------------------------------------------------------------------
 *
 * http.c
 *		An HTTP client for many concurrent small POSTs, on libcurl's multi
 *		interface.  The one door to libcurl.
 *
 * How a request can be sent only once
 *
 * libcurl repeats a request by itself when a kept-alive connection breaks
 * before an answer came, POST or not.  It must then rewind the body.  Ours
 * comes from a read callback, and three things together forbid the repetition
 * once a byte of it was handed out: the seek callback fails, the read callback
 * never starts again, and the "prereq" callback, which libcurl calls each time
 * before it sends a request, ends the transfer.  As long as no byte was handed
 * out, libcurl may repeat what it likes: no server has a complete request.
 *
 * The same read callback is the journal.  It sets the caller's flag before the
 * first byte is copied, so a process that dies at any moment leaves a flag
 * that is right or errs to the safe side.
 *
 * What counts as an answer
 *
 * libcurl's result code proves nothing, in either direction: 7 (could not
 * connect) and 55 (send error) were seen after a complete request had been
 * received.  What counts is whether a complete status line of a final response
 * (200 or above) came; the header callback looks for it itself.
 *
 * An answer that comes before the body was asked for is taken as it is when
 * it refuses (3xx, 4xx).  But 2xx, 5xx and 408 then cannot mean what they say
 * of a message that no server has, so they become HTTP_NOT_SENT.
 *
 * Proxies: with https, libcurl opens a tunnel by CONNECT; whatever goes wrong
 * before it stands is HTTP_NOT_SENT, since the body is asked for later, and
 * the proxy's own status never counts.  With plain http (tests, loopback) the
 * proxy gets the request itself, and its 502 is a status like any other.
 *
 * Waiting
 *
 * libcurl names its sockets and its timer by callbacks.  The sockets go into a
 * private epoll set, whose descriptor the caller waits for beside its own
 * events (a latch); the timer is only a deadline.  The set is kept lazily: a
 * connection that becomes idle stays registered for input, since it will be
 * wanted again in a moment, and a socket that libcurl wants to write to is
 * simply tried first.  In the steady state a request then costs no epoll_ctl.
 * This needs to know when a descriptor is closed, hence the callbacks for
 * opening and closing sockets; descriptors that libcurl opens in other ways
 * (the wake-up pair of its resolver threads) are registered exactly.
 *
 * It also shows when something happens to an idle connection.  A request that
 * is about to use such a spoiled connection is stopped before anything of it
 * is sent, and started again: otherwise each would become ambiguous.
 *
 * Signals: libcurl's resolver runs in threads, and a thread inherits the mask.
 * All signals are blocked around everything that may start one, or the
 * handlers of PostgreSQL would run in a foreign thread.  The process must
 * ignore SIGPIPE, as every PostgreSQL process does.
 *
 * Glossary: a transfer is a slot for one request, with its libcurl handle; it
 * is reused for the next request and so are its buffers.  A pool is a multi
 * handle with its connections; there is one, and for a while a second one
 * after ln_http_forget_connections().
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/http.h"

#if LIBCURL_VERSION_NUM < 0x075100
#error "line_notify needs libcurl 7.81 or newer"
#endif

/*
 * Limits on the head of a response, interim ones (1xx) included.  LINE sends
 * about 15 lines and 600 bytes; gateways add some.
 */
#define MAX_HEADER_LINES	256
#define MAX_HEADER_BYTES	(64 * 1024)
#define MAX_INTERIM			16

/* Limits on a request, against mistakes: LINE's largest body is 2 MB. */
#define MAX_REQUEST_HEADERS	64
#define MAX_REQUEST_BODY	(16 * 1024 * 1024)

/* Longest delay taken from Retry-After; the caller has its own pauses. */
#define MAX_RETRY_AFTER_MS	(INT64_C(24) * 3600 * 1000)

/*
 * Buffers of a transfer that grew beyond this are given back afterwards, so
 * that a few large messages do not make every slot large.
 */
#define KEEP_BUFFER_BYTES	(64 * 1024)

/* First size of a response buffer; LINE's usual answer is "{}". */
#define FIRST_RESPONSE_BYTES	512

/*
 * libcurl's own buffers, per handle.  Answers are small, and 16 kB is the
 * least that libcurl takes for uploads; its defaults would be 80 kB.
 */
#define RECEIVE_BUFFER_BYTES	4096L
#define UPLOAD_BUFFER_BYTES		16384L

/* Sockets served per step, so that the caller's interrupts wait for ms only */
#define EVENTS_PER_STEP		256

/* Turns of timer and writing per step; one is the rule. */
#define TURNS_PER_STEP		4

/* Spoiled connections that one request may meet before it gives up */
#define MAX_RESTARTS		64

/* How long a resolved address is used, in seconds: LINE moves by DNS. */
#define DNS_CACHE_S			60L

/*
 * Where a response stands.  Lines are looked at only in the order in which
 * they belong, so neither the head of a CONNECT nor a trailer can pretend to
 * be
 * a status line.
 */
typedef enum HeadState
{
	HEAD_CLOSED,				/* request not started: lines are not for us
								 * -> HEAD_STATUS */
	HEAD_STATUS,				/* a status line must come -> HEAD_INTERIM,
								 * HEAD_FINAL */
	HEAD_INTERIM,				/* head of a 1xx -> HEAD_STATUS */
	HEAD_FINAL,					/* head of the final response -> HEAD_DONE */
	HEAD_DONE					/* ended; what follows are trailers */
} HeadState;

typedef enum TransferState
{
	TRANSFER_FREE,				/* -> TRANSFER_QUEUED */
	TRANSFER_QUEUED,			/* added, not yet with libcurl ->
								 * TRANSFER_RUNNING, TRANSFER_DONE */
	TRANSFER_RUNNING,			/* with libcurl -> TRANSFER_DONE */
	TRANSFER_DONE,				/* result not yet taken -> TRANSFER_TAKEN */
	TRANSFER_TAKEN				/* result with the caller, until its next call
								 * -> TRANSFER_FREE */
} TransferState;

typedef struct Pool
{
	struct Pool *next;
	HttpClient *client;
	CURLM	   *multi;
	int			running;		/* transfers in it */
	int64_t		deadline_us;	/* libcurl's timer, -1 = none */
} Pool;

typedef struct Transfer
{
	struct Transfer *next;		/* in the list of its state */
	HttpClient *client;
	Pool	   *pool;			/* while running */
	CURL	   *easy;			/* NULL until first used */
	TransferState state;

	/* what is set in the handle, to set only what changes */
	char	   *url;
	char	   *ca_file;
	char	   *proxy;
	long		connect_timeout_ms;
	long		total_timeout_ms;
	curl_off_t	post_size;
	int			is_post;		/* -1 = neither set yet */
	int			http2;
	struct curl_slist *list_set;

	/* the request */
	uint64_t	tag;
	bool		has_body;
	volatile uint8_t *journal;
	char	   *body;
	size_t		body_len;
	size_t		body_room;
	size_t		body_pos;
	char	   *header_text;	/* the lines, each terminated */
	size_t		header_room;
	struct curl_slist *list;	/* nodes in one array, data in header_text */
	int			list_room;

	/* what became of it */
	bool		asked;			/* body asked for */
	bool		restart;		/* ended because its connection was spoiled */
	int			restarts;
	bool		aborted;
	HeadState	head;
	int			status;			/* of the last complete status line, or 0 */
	int			header_lines;
	size_t		header_bytes;
	int			interims;
	const char *reason;			/* why we ended it, or NULL */
	int64_t		retry_after_ms;
	char		request_id[80];
	char	   *response;
	size_t		response_len;
	size_t		response_room;
	bool		truncated;
	HttpVerdict verdict;
	CURLcode	code;
	bool		new_connection;
	int64_t		started_us;
	int64_t		elapsed_us;
	char		errbuf[CURL_ERROR_SIZE];
} Transfer;

/* A singly linked list with both ends */
typedef struct TransferList
{
	Transfer   *head;
	Transfer   *tail;
} TransferList;

/* What is known of a descriptor, indexed by its number */
typedef struct FdState
{
	Pool	   *pool;			/* whose libcurl asked for it */
	uint32_t	wanted;			/* EPOLLIN, EPOLLOUT as libcurl wants it */
	uint32_t	registered;		/* as the epoll set has it, 0 = not in it */
	bool		ours;			/* opened and closed through our callbacks */
	bool		changed;		/* in the list of changes */
	bool		spoiled;		/* something happened while it was idle */
	uint32_t	tried;			/* the step that wrote without waiting */
} FdState;

struct HttpClient
{
	HttpOptions opt;
	int			epfd;
	Pool	   *pools;			/* the first is the current one */
	Transfer   *transfers;		/* max_transfers of them */
	TransferList idle;			/* TRANSFER_FREE */
	TransferList queued;		/* TRANSFER_QUEUED */
	TransferList done;			/* TRANSFER_DONE */
	Transfer   *taken;			/* TRANSFER_TAKEN, or NULL */
	int			active;			/* queued, running, done */
	FdState    *fds;
	int			nfds;			/* room in fds and in changes */
	int		   *changes;		/* descriptors whose registration may differ */
	int			nchanges;
	int			nspoiled;		/* descriptors that are spoiled */
	uint32_t	step;			/* number of the current step */
	struct epoll_event events[EVENTS_PER_STEP];
};

static bool pool_create(HttpClient *client);
static void pool_free(Pool *pool);
static void pool_sweep(HttpClient *client);
static void pool_timer(Pool *pool);

static bool header_good(const char *line, const char **why);
static bool url_good(const char *url);
static bool transfer_prepare(Transfer *t, const HttpRequest *req,
							 const char **why);
static bool transfer_handle(Transfer *t);
static void transfer_base_options(Transfer *t);
static bool transfer_options(Transfer *t, const HttpRequest *req);
static void transfer_finish(Transfer *t, CURLcode code);
static void transfer_release(Transfer *t);
static void transfer_destroy(Transfer *t);
static HttpVerdict transfer_verdict(const Transfer *t);
static bool reserve(char **buf, size_t *room, size_t need);
static bool replace_string(char **current, const char *value);

static void start_queued(HttpClient *client);
static bool serve_sockets(HttpClient *client);
static void serve_timer(Pool *pool, int64_t now);
static bool apply_changes(HttpClient *client);
static void harvest(Pool *pool);

static void fd_spoil(HttpClient *client, int fd);
static bool port_spoiled(HttpClient *client, int port);
static bool fd_room(HttpClient *client, int fd);
static void fd_register(HttpClient *client, int fd, uint32_t events);
static void fd_changed(HttpClient *client, int fd);

static int	on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
					  void *socketp);
static int	on_timer(CURLM *multi, long timeout_ms, void *arg);
static curl_socket_t on_open(void *arg, curlsocktype purpose,
							 struct curl_sockaddr *address);
static int	on_close(void *arg, curl_socket_t fd);
static int	on_prereq(void *arg, char *remote_ip, char *local_ip,
					  int remote_port, int local_port);
static size_t on_read(char *buf, size_t size, size_t nitems, void *arg);
static int	on_seek(void *arg, curl_off_t offset, int origin);
static size_t on_header(char *line, size_t size, size_t nitems, void *arg);
static size_t on_write(char *data, size_t size, size_t nmemb, void *arg);

static bool header_line(Transfer *t, const char *line, size_t len);
static int	parse_status(const char *line, size_t len);
static bool header_is(const char *line, size_t len, const char *name,
					  const char **value, size_t *valuelen);
static int64_t parse_retry_after(const char *value, size_t len, time_t now);
static void copy_printable(char *dst, size_t room, const char *src,
						   size_t len);

static void block_signals(sigset_t *saved);
static int64_t now_us(void);

static void
list_push(TransferList *list, Transfer *t)
{
	t->next = NULL;
	if (list->tail != NULL)
		list->tail->next = t;
	else
		list->head = t;
	list->tail = t;
}

static Transfer *
list_pop(TransferList *list)
{
	Transfer   *t = list->head;

	if (t != NULL)
	{
		list->head = t->next;
		if (list->head == NULL)
			list->tail = NULL;
		t->next = NULL;
	}
	return t;
}

/* ---------- the interface; contracts are in http.h ---------- */

HttpClient *
ln_http_create(const HttpOptions *opt, char *err, size_t errlen)
{
	static bool global_done = false;
	HttpClient *client = NULL;
	const char *why = NULL;
	sigset_t	saved;
	int			i;

	block_signals(&saved);

	/* never undone: other code of this process may use libcurl as well */
	if (!global_done && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		why = "libcurl could not be initialized.";
	else
	{
		global_done = true;
		client = calloc(1, sizeof(HttpClient));
		if (client == NULL)
			why = "Out of memory.";
	}

	if (client != NULL)
	{
		client->opt = *opt;
		if (client->opt.max_transfers < 1)
			client->opt.max_transfers = 1;
		if (client->opt.max_connections < 1)
			client->opt.max_connections = 1;
		if (client->opt.max_host_connections < 1)
			client->opt.max_host_connections = 1;
		if (client->opt.max_idle_s < 0)
			client->opt.max_idle_s = 0;
		if (client->opt.max_lifetime_s < 0)
			client->opt.max_lifetime_s = 0;

		client->epfd = epoll_create1(EPOLL_CLOEXEC);
		client->transfers = calloc((size_t) client->opt.max_transfers,
								   sizeof(Transfer));
		if (client->epfd < 0)
			why = "An epoll descriptor could not be created.";
		else if (client->transfers == NULL || !pool_create(client))
			why = "Out of memory.";
		else
		{
			for (i = 0; i < client->opt.max_transfers; i++)
			{
				client->transfers[i].client = client;
				client->transfers[i].is_post = -1;
				list_push(&client->idle, &client->transfers[i]);
			}
			(void) fd_room(client, client->epfd);
		}
	}

	pthread_sigmask(SIG_SETMASK, &saved, NULL);

	if (why != NULL)
	{
		if (errlen > 0)
			snprintf(err, errlen, "%s", why);
		ln_http_destroy(client);
		return NULL;
	}
	return client;
}

void
ln_http_destroy(HttpClient *client)
{
	sigset_t	saved;
	int			i;

	if (client == NULL)
		return;

	block_signals(&saved);
	for (i = 0; client->transfers != NULL && i < client->opt.max_transfers;
		 i++)
		transfer_destroy(&client->transfers[i]);
	while (client->pools != NULL)
	{
		Pool	   *pool = client->pools;

		client->pools = pool->next;
		pool_free(pool);
	}
	pthread_sigmask(SIG_SETMASK, &saved, NULL);

	if (client->epfd >= 0)
		close(client->epfd);
	free(client->transfers);
	free(client->fds);
	free(client->changes);
	free(client);
}

int
ln_http_fd(const HttpClient *client)
{
	return client->epfd;
}

long
ln_http_timeout_ms(HttpClient *client)
{
	int64_t		earliest = -1;
	int64_t		left;
	Pool	   *pool;

	if (client->queued.head != NULL || client->done.head != NULL)
		return 0;

	for (pool = client->pools; pool != NULL; pool = pool->next)
	{
		if (pool->deadline_us >= 0 &&
			(earliest < 0 || pool->deadline_us < earliest))
			earliest = pool->deadline_us;
	}
	if (earliest < 0)
		return -1;

	/* rounded up: a step too early would find nothing to do */
	left = earliest - now_us();
	return left <= 0 ? 0 : (long) ((left + 999) / 1000);
}

bool
ln_http_add(HttpClient *client, const HttpRequest *req, char *err,
			size_t errlen)
{
	Transfer   *t;
	const char *why = NULL;

	if (client->taken != NULL)
		transfer_release(client->taken);

	t = client->idle.head;
	if (t == NULL)
		why = "All transfers are in use.";
	else if (transfer_prepare(t, req, &why))
	{
		(void) list_pop(&client->idle);
		t->state = TRANSFER_QUEUED;
		t->started_us = now_us();
		list_push(&client->queued, t);
		client->active++;
		return true;
	}

	if (errlen > 0)
		snprintf(err, errlen, "%s", why);
	return false;
}

void
ln_http_step(HttpClient *client)
{
	sigset_t	saved;
	Pool	   *pool;
	int			turn;

	if (client->taken != NULL)
		transfer_release(client->taken);

	block_signals(&saved);
	client->step++;

	/*
	 * First the sockets: what happened to idle connections must be known
	 * before they are used.
	 */
	if (serve_sockets(client))
		start_queued(client);

	for (turn = 0; turn < TURNS_PER_STEP; turn++)
	{
		int64_t		now = now_us();
		bool		more = false;

		for (pool = client->pools; pool != NULL; pool = pool->next)
			serve_timer(pool, now);
		if (apply_changes(client))
			more = true;
		for (pool = client->pools; pool != NULL; pool = pool->next)
		{
			if (pool->deadline_us == 0)
				more = true;
		}
		if (!more)
			break;
	}

	for (pool = client->pools; pool != NULL; pool = pool->next)
		harvest(pool);
	if (client->pools->next != NULL)
		pool_sweep(client);

	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

bool
ln_http_next(HttpClient *client, HttpResult *res)
{
	Transfer   *t;

	if (client->taken != NULL)
		transfer_release(client->taken);

	t = list_pop(&client->done);
	if (t == NULL)
		return false;

	t->state = TRANSFER_TAKEN;
	client->taken = t;
	client->active--;

	res->tag = t->tag;
	res->verdict = t->verdict;
	res->status = t->verdict == HTTP_STATUS ? t->status : 0;
	res->aborted = t->aborted;
	res->retry_after_ms = t->retry_after_ms;
	memcpy(res->request_id, t->request_id, sizeof(res->request_id));
	res->curl_code = (int) t->code;
	res->error[0] = '\0';
	res->body = t->response_len > 0 ? t->response : "";
	res->body_len = t->response_len;
	res->body_truncated = t->truncated;
	res->elapsed_us = t->elapsed_us;
	res->new_connection = t->new_connection;

	if (t->aborted && t->reason == NULL)
		t->reason = "aborted";
	if (t->verdict == HTTP_NOT_SENT && t->head >= HEAD_FINAL)
		snprintf(res->error, sizeof(res->error),
				 "status %d came before the body was sent", t->status);
	else if (t->reason != NULL)
		snprintf(res->error, sizeof(res->error), "%s", t->reason);
	else if (t->code != CURLE_OK)
	{
		const char *text = t->errbuf[0] != '\0' ? t->errbuf :
		curl_easy_strerror(t->code);

		copy_printable(res->error, sizeof(res->error), text, strlen(text));
	}
	else if (t->verdict != HTTP_STATUS)
		snprintf(res->error, sizeof(res->error), "no complete status line");

	return true;
}

int
ln_http_active(const HttpClient *client)
{
	return client->active;
}

int
ln_http_free(const HttpClient *client)
{
	return client->opt.max_transfers - client->active;
}

void
ln_http_abort_all(HttpClient *client)
{
	sigset_t	saved;
	Pool	   *pool;
	Transfer   *t;
	int			i;

	if (client->taken != NULL)
		transfer_release(client->taken);

	block_signals(&saved);

	/* first take what is finished already: that was not aborted */
	for (pool = client->pools; pool != NULL; pool = pool->next)
		harvest(pool);

	while ((t = list_pop(&client->queued)) != NULL)
	{
		t->aborted = true;
		transfer_finish(t, CURLE_OK);
	}
	for (i = 0; i < client->opt.max_transfers; i++)
	{
		t = &client->transfers[i];
		if (t->state == TRANSFER_RUNNING)
		{
			t->aborted = true;
			transfer_finish(t, CURLE_OK);
		}
	}
	pool_sweep(client);

	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

/*
 * libcurl cannot be told to close its idle connections, nor to read a CA file
 * again.  So a new pool takes over, and the old one goes when its transfers
 * are done.
 */
void
ln_http_forget_connections(HttpClient *client)
{
	sigset_t	saved;

	if (client->taken != NULL)
		transfer_release(client->taken);

	block_signals(&saved);
	if (pool_create(client))
		pool_sweep(client);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

/*
 * The kind of a fault, for people; libcurl's own sentence tells the rest.
 */
const char *
ln_http_fault_name(int curl_code)
{
	switch ((CURLcode) curl_code)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
			return "name resolution";
		case CURLE_COULDNT_CONNECT:
			return "connection";
		case CURLE_OPERATION_TIMEDOUT:
			return "time-out";
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
			return "TLS";
		default:
			return "transfer";
	}
}

const char *
ln_http_version(void)
{
	return curl_version();
}

/* ---------- pools ---------- */

/*
 * Make a new current pool.  False = no memory, nothing changed.
 */
static bool
pool_create(HttpClient *client)
{
	Pool	   *pool = calloc(1, sizeof(Pool));
	const HttpOptions *opt = &client->opt;

	if (pool == NULL)
		return false;
	pool->client = client;
	pool->deadline_us = -1;
	pool->multi = curl_multi_init();
	if (pool->multi == NULL)
	{
		free(pool);
		return false;
	}

	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
	curl_multi_setopt(pool->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
					  (long) opt->max_connections);
	curl_multi_setopt(pool->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
					  (long) opt->max_host_connections);
	curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS,
					  (long) opt->max_connections);
	if (opt->max_streams > 0)
		curl_multi_setopt(pool->multi, CURLMOPT_MAX_CONCURRENT_STREAMS,
						  (long) opt->max_streams);
#if LIBCURL_VERSION_NUM >= 0x081400

	/*
	 * as CURLOPT_QUICK_EXIT below: resolver threads are the pool's since 8.20
	 */
	curl_multi_setopt(pool->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif

	pool->next = client->pools;
	client->pools = pool;
	return true;
}

/*
 * Close the connections of a pool without transfers, and free it.
 */
static void
pool_free(Pool *pool)
{
	int			fd;

	curl_multi_cleanup(pool->multi);

	/* descriptors that libcurl closed without a word */
	for (fd = 0; fd < pool->client->nfds; fd++)
	{
		if (pool->client->fds[fd].pool == pool)
		{
			if (pool->client->fds[fd].registered != 0)
				fd_register(pool->client, fd, 0);
			pool->client->fds[fd].pool = NULL;
			pool->client->fds[fd].wanted = 0;
		}
	}
	free(pool);
}

/*
 * Free the pools that are neither current nor in use.
 */
static void
pool_sweep(HttpClient *client)
{
	Pool	  **link = &client->pools->next;

	while (*link != NULL)
	{
		Pool	   *pool = *link;

		if (pool->running == 0)
		{
			*link = pool->next;
			pool_free(pool);
		}
		else
			link = &pool->next;
	}
}

/*
 * Ask libcurl for its deadline.  It calls on_timer() only when it believes the
 * deadline has changed, which goes wrong when a timer fires a little early.
 */
static void
pool_timer(Pool *pool)
{
	long		timeout_ms = -1;

	if (curl_multi_timeout(pool->multi, &timeout_ms) == CURLM_OK)
		(void) on_timer(pool->multi, timeout_ms, pool);
}

/* ---------- transfers ---------- */

/*
 * May this line be sent as a header?
 */
static bool
header_good(const char *line, const char **why)
{
	static const char *const reserved[] =
	{
		/* these would break the framing, and the proof with it */
		"content-length", "transfer-encoding", "expect", "connection",
		"upgrade", "te", "trailer"
	};
	const unsigned char *p;
	const char *colon;
	size_t		i;
	size_t		namelen;

	for (p = (const unsigned char *) line; *p != '\0'; p++)
	{
		if (*p < 0x20 || *p == 0x7F)
		{
			*why = "A header contains a control character.";
			return false;
		}
	}

	colon = strchr(line, ':');
	namelen = colon != NULL ? (size_t) (colon - line) : 0;
	if (namelen == 0)
	{
		*why = "A header has no name.";
		return false;
	}
	for (i = 0; i < namelen; i++)
	{
		char		c = line[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || strchr("!#$%&'*+-.^_`|~", c) != NULL))
		{
			*why = "A header has a malformed name.";
			return false;
		}
	}
	if (colon[1 + strspn(colon + 1, " ")] == '\0')
	{
		*why = "A header has no value.";	/* libcurl would leave it out */
		return false;
	}
	for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
	{
		const char *value;
		size_t		valuelen;

		if (header_is(line, strlen(line), reserved[i], &value, &valuelen))
		{
			*why = "A header is reserved for the HTTP client.";
			return false;
		}
	}
	return true;
}

/*
 * http:// or https://, without blanks and control characters.  The rest is
 * left to libcurl, which also refuses credentials.
 */
static bool
url_good(const char *url)
{
	const unsigned char *p;

	if (url == NULL || (strncmp(url, "https://", 8) != 0 &&
						strncmp(url, "http://", 7) != 0))
		return false;
	for (p = (const unsigned char *) url; *p != '\0'; p++)
	{
		if (*p <= 0x20 || *p >= 0x7F)
			return false;
	}
	return true;
}

/*
 * Take over a request.  False = refused, the transfer stays free.
 */
static bool
transfer_prepare(Transfer *t, const HttpRequest *req, const char **why)
{
	bool		is_post = req->method != NULL &&
	strcmp(req->method, "POST") == 0;
	size_t		need = 0;
	size_t		pos = 0;
	int			i;

	if (!is_post && (req->method == NULL || strcmp(req->method, "GET") != 0))
	{
		*why = "The method is neither POST nor GET.";
		return false;
	}
	if (is_post != (req->body != NULL && req->body_len > 0))
	{
		/* an empty body would never be asked for: no proof */
		*why = "POST needs a body, GET must not have one.";
		return false;
	}
	if (req->body_len > MAX_REQUEST_BODY)
	{
		*why = "The body is too large.";
		return false;
	}
	if (!url_good(req->url))
	{
		*why = "The URL is not an http or https URL.";
		return false;
	}
	if (req->connect_timeout_ms <= 0 || req->total_timeout_ms <= 0)
	{
		*why = "A time-out is not positive.";
		return false;
	}
	if (req->nheaders < 0 || req->nheaders > MAX_REQUEST_HEADERS)
	{
		*why = "There are too many headers.";
		return false;
	}
	for (i = 0; i < req->nheaders; i++)
	{
		if (!header_good(req->headers[i], why))
			return false;
		need += strlen(req->headers[i]) + 1;
	}

	/* memory before anything else, so that failure changes nothing */
	*why = "Out of memory.";
	if (!reserve(&t->body, &t->body_room, req->body_len) ||
		!reserve(&t->header_text, &t->header_room, need))
		return false;
	if (t->list_room < req->nheaders + 1)
	{
		int			room = req->nheaders + 1 < 8 ? 8 : req->nheaders + 1;
		struct curl_slist *list = malloc((size_t) room * sizeof(*list));

		if (list == NULL)
			return false;
		if (t->easy != NULL)
			curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, NULL);
		t->list_set = NULL;
		free(t->list);
		t->list = list;
		t->list_room = room;
	}
	if (!transfer_handle(t) || !transfer_options(t, req))
		return false;

	/*
	 * A curl_slist is documented to be a plain list of strings, and libcurl
	 * keeps the pointer to its first node only.  "Expect:" without a value
	 * removes a header that libcurl would add for large bodies.
	 */
	t->list[0].data = (char *) "Expect:";
	for (i = 0; i < req->nheaders; i++)
	{
		size_t		len = strlen(req->headers[i]) + 1;

		memcpy(t->header_text + pos, req->headers[i], len);
		t->list[i].next = &t->list[i + 1];
		t->list[i + 1].data = t->header_text + pos;
		pos += len;
	}
	t->list[i].next = NULL;

	t->tag = req->tag;
	t->has_body = is_post;
	t->journal = req->journal;
	if (is_post)
		memcpy(t->body, req->body, req->body_len);
	t->body_len = req->body_len;
	t->body_pos = 0;

	t->asked = false;
	t->restart = false;
	t->restarts = 0;
	t->aborted = false;
	t->head = HEAD_CLOSED;
	t->status = 0;
	t->header_lines = 0;
	t->header_bytes = 0;
	t->interims = 0;
	t->reason = NULL;
	t->retry_after_ms = -1;
	t->request_id[0] = '\0';
	t->response_len = 0;
	t->truncated = false;
	t->new_connection = false;
	t->errbuf[0] = '\0';
	return true;
}

/*
 * Make sure the transfer has a handle.
 */
static bool
transfer_handle(Transfer *t)
{
	if (t->easy != NULL)
		return true;
	t->easy = curl_easy_init();
	if (t->easy == NULL)
		return false;
	transfer_base_options(t);
	return true;
}

/*
 * Set in a new (or reset) handle what is the same for all requests.  None of
 * these can fail except for want of memory, and then the request does.
 */
static void
transfer_base_options(Transfer *t)
{
	HttpClient *client = t->client;
	CURL	   *easy = t->easy;

	/* nothing else is set */
	(void) replace_string(&t->url, NULL);
	(void) replace_string(&t->ca_file, NULL);
	(void) replace_string(&t->proxy, NULL);
	t->connect_timeout_ms = 0;
	t->total_timeout_ms = 0;
	t->post_size = -1;
	t->is_post = -1;
	t->http2 = 0;
	t->list_set = NULL;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->errbuf);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);

#if LIBCURL_VERSION_NUM >= 0x075700

	/*
	 * Otherwise the end of a transfer waits for its resolver thread, and with
	 * it for a name server that does not answer.
	 */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif

	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, t);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);

	/* http and https, one request, one answer */
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
					 (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
					 (long) CURL_HTTP_VERSION_1_1);

	/* "" is no proxy, whatever the environment says; and no exceptions */
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);

	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION,
					 (long) CURL_SSLVERSION_TLSv1_2);

	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES);

	/*
	 * libcurl's default idle age is 118 s.  It counts in whole seconds, so 0
	 * alone would still reuse a connection within the second.
	 */
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN,
					 (long) client->opt.max_idle_s);
	curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN,
					 (long) client->opt.max_lifetime_s);
	if (client->opt.max_idle_s == 0)
	{
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	}
}

/*
 * Set what differs from the previous request of this handle.  libcurl copies
 * strings at each setting, so the usual case, nothing, is worth finding out.
 */
static bool
transfer_options(Transfer *t, const HttpRequest *req)
{
	CURL	   *easy = t->easy;
	bool		is_post = req->method[0] == 'P';
	const char *proxy = req->proxy != NULL ? req->proxy : "";
	const char *ca_file = req->ca_file != NULL ? req->ca_file : "";
	const char *old_ca_file = t->ca_file != NULL ? t->ca_file : "";

	/* libcurl's default bundle comes back by resetting everything only */
	if (*old_ca_file != '\0' && *ca_file == '\0')
	{
		curl_easy_reset(easy);
		transfer_base_options(t);
	}

	if (t->url == NULL || strcmp(t->url, req->url) != 0)
	{
		if (!replace_string(&t->url, req->url))
			return false;
		if (curl_easy_setopt(easy, CURLOPT_URL, req->url) != CURLE_OK)
		{
			(void) replace_string(&t->url, NULL);
			return false;
		}
	}
	if (strcmp(t->proxy != NULL ? t->proxy : "", proxy) != 0)
	{
		if (!replace_string(&t->proxy, proxy))
			return false;
		if (curl_easy_setopt(easy, CURLOPT_PROXY, proxy) != CURLE_OK)
		{
			/* never fall back to another proxy than was asked for */
			curl_easy_cleanup(easy);
			t->easy = NULL;
			return false;
		}
	}
	if (*ca_file != '\0' &&
		(t->ca_file == NULL || strcmp(t->ca_file, ca_file) != 0))
	{
		/* this file and nothing beside it: so not the default directory */
		if (!replace_string(&t->ca_file, ca_file))
			return false;
		if (curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file) != CURLE_OK ||
			curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK ||
			curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO,
							 ca_file) != CURLE_OK ||
			curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL) != CURLE_OK)
		{
			curl_easy_cleanup(easy);
			t->easy = NULL;
			return false;
		}
	}
	if (t->is_post != (int) is_post)
	{
		if (is_post)
			curl_easy_setopt(easy, CURLOPT_POST, 1L);
		else
			curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
		t->is_post = is_post;
	}
	if (is_post && t->post_size != (curl_off_t) req->body_len)
	{
		t->post_size = (curl_off_t) req->body_len;
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, t->post_size);
	}
	if (t->connect_timeout_ms != req->connect_timeout_ms)
	{
		t->connect_timeout_ms = req->connect_timeout_ms;
		curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
						 t->connect_timeout_ms);
	}
	if (t->total_timeout_ms != req->total_timeout_ms)
	{
		t->total_timeout_ms = req->total_timeout_ms;
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, t->total_timeout_ms);
	}
	if (t->http2 != (int) req->http2)
	{
		/* wait for a connection that can be shared rather than open many */
		curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
						 (long) (req->http2 ? CURL_HTTP_VERSION_2TLS :
								 CURL_HTTP_VERSION_1_1));
		curl_easy_setopt(easy, CURLOPT_PIPEWAIT, req->http2 ? 1L : 0L);
		t->http2 = req->http2;
	}
	if (t->list_set != t->list)
	{
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->list);
		t->list_set = t->list;
	}
	return true;
}

/*
 * A transfer has ended, or is ended here: judge it, and put it among those
 * that the caller may take.
 */
static void
transfer_finish(Transfer *t, CURLcode code)
{
	if (t->state == TRANSFER_RUNNING)
	{
		long		connects = 0;

		curl_easy_getinfo(t->easy, CURLINFO_NUM_CONNECTS, &connects);
		t->new_connection = connects > 0;
		curl_multi_remove_handle(t->pool->multi, t->easy);
		t->pool->running--;
		t->pool = NULL;
	}

	t->code = code;
	t->verdict = transfer_verdict(t);
	t->elapsed_us = now_us() - t->started_us;
	t->state = TRANSFER_DONE;
	list_push(&t->client->done, t);
}

/*
 * How far it got; see the top of this file.
 */
static HttpVerdict
transfer_verdict(const Transfer *t)
{
	bool		complete = t->head >= HEAD_FINAL;

	if (t->has_body && !t->asked)
	{
		if (complete && t->status >= 300 && t->status <= 499 &&
			t->status != 408)
			return HTTP_STATUS;
		return HTTP_NOT_SENT;
	}
	if (complete)
		return HTTP_STATUS;
	if (!t->has_body && t->head == HEAD_CLOSED)
		return HTTP_NOT_SENT;	/* a GET that never reached a server */
	return HTTP_AMBIGUOUS;
}

/*
 * The caller is done with a result.
 */
static void
transfer_release(Transfer *t)
{
	HttpClient *client = t->client;

	client->taken = NULL;
	t->journal = NULL;
	if (t->body_room > KEEP_BUFFER_BYTES)
	{
		free(t->body);
		t->body = NULL;
		t->body_room = 0;
	}
	if (t->response_room > KEEP_BUFFER_BYTES)
	{
		free(t->response);
		t->response = NULL;
		t->response_room = 0;
	}

	/* as a stack: under low load, few handles are created and stay warm */
	t->state = TRANSFER_FREE;
	t->next = client->idle.head;
	client->idle.head = t;
	if (client->idle.tail == NULL)
		client->idle.tail = t;
}

/*
 * Free what a transfer owns, ending it without any result.
 */
static void
transfer_destroy(Transfer *t)
{
	if (t->state == TRANSFER_RUNNING)
	{
		curl_multi_remove_handle(t->pool->multi, t->easy);
		t->pool->running--;
	}
	if (t->easy != NULL)
		curl_easy_cleanup(t->easy);
	free(t->url);
	free(t->ca_file);
	free(t->proxy);
	free(t->body);
	free(t->header_text);
	free(t->list);
	free(t->response);
}

/*
 * Make a buffer hold at least need bytes; its content may get lost.
 */
static bool
reserve(char **buf, size_t *room, size_t need)
{
	size_t		size = *room > 0 ? *room : 256;
	char	   *p;

	if (need <= *room)
		return true;
	while (size < need)
		size *= 2;
	p = malloc(size);
	if (p == NULL)
		return false;
	free(*buf);
	*buf = p;
	*room = size;
	return true;
}

/*
 * Replace a kept string by a copy of value (NULL = none).  When it fails,
 * there
 * is none.
 */
static bool
replace_string(char **current, const char *value)
{
	free(*current);
	*current = value != NULL ? strdup(value) : NULL;
	return value == NULL || *current != NULL;
}

/* ---------- moving on ---------- */

/*
 * Hand the queued transfers to the current pool.
 */
static void
start_queued(HttpClient *client)
{
	Transfer   *t;
	Pool	   *pool = client->pools;

	while ((t = list_pop(&client->queued)) != NULL)
	{
		if (curl_multi_add_handle(pool->multi, t->easy) != CURLM_OK)
		{
			t->reason = "libcurl could not start the transfer";
			transfer_finish(t, CURLE_FAILED_INIT);
			continue;
		}
		t->state = TRANSFER_RUNNING;
		t->pool = pool;
		pool->running++;
		pool->deadline_us = 0;
	}
}

/*
 * Tell libcurl which sockets are ready.  False = there may be more of them.
 */
static bool
serve_sockets(HttpClient *client)
{
	int			n;
	int			i;

	n = epoll_wait(client->epfd, client->events, EVENTS_PER_STEP, 0);
	for (i = 0; i < n; i++)
	{
		int			fd = client->events[i].data.fd;
		uint32_t	ready = client->events[i].events;
		uint32_t	wanted = client->fds[fd].wanted;
		int			bits = 0;
		int			running;

		/*
		 * An error is found by reading or writing.  Told of the error itself,
		 * libcurl would give up without reading an answer that has arrived.
		 */
		if (ready & (EPOLLERR | EPOLLHUP))
			ready |= EPOLLIN | EPOLLOUT;
		if (ready & wanted & EPOLLIN)
			bits |= CURL_CSELECT_IN;
		if (ready & wanted & EPOLLOUT)
			bits |= CURL_CSELECT_OUT;

		if (bits != 0)
			curl_multi_socket_action(client->fds[fd].pool->multi, fd, bits,
									 &running);
		else if (wanted == 0 && client->fds[fd].ours)
		{
			struct pollfd p;

			/*
			 * Idle, and something happened to it.  Unless it has become idle
			 * only now, by its transfer being run beside another one above:
			 * so look again.
			 */
			p.fd = fd;
			p.events = POLLIN;
			if (poll(&p, 1, 0) > 0)
			{
				fd_spoil(client, fd);
				fd_register(client, fd, 0);
			}
		}
		else
			fd_register(client, fd, wanted);
	}
	return n < EVENTS_PER_STEP;
}

/*
 * Tell libcurl that its time has come.
 */
static void
serve_timer(Pool *pool, int64_t now)
{
	int			running;

	if (pool->deadline_us < 0 || now < pool->deadline_us)
		return;
	pool->deadline_us = -1;
	curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	pool_timer(pool);
}

/*
 * Bring the epoll set into line with what libcurl wants.  Returns whether
 * libcurl was given something to do on this occasion.
 */
static bool
apply_changes(HttpClient *client)
{
	bool		acted = false;

	while (client->nchanges > 0)
	{
		int			fd = client->changes[--client->nchanges];
		FdState    *st = &client->fds[fd];
		uint32_t	target;

		st->changed = false;

		/*
		 * A connection in use wants to write: its buffer is almost surely
		 * empty, so try before waiting.  Each socket once per step.
		 */
		if ((st->wanted & EPOLLOUT) != 0 && st->ours &&
			st->registered == EPOLLIN && st->tried != client->step)
		{
			int			running;

			st->tried = client->step;
			curl_multi_socket_action(st->pool->multi, fd, CURL_CSELECT_OUT,
									 &running);
			acted = true;
			st = &client->fds[fd];	/* the table may have moved */
			if (st->changed)
				continue;		/* it is on the list again */
		}

		target = st->wanted;
		if (target == 0 && st->ours && st->registered != 0)
			target = EPOLLIN;	/* idle: stay, see the top of this file */
		if (target != st->registered)
			fd_register(client, fd, target);
	}
	return acted;
}

/*
 * Take the finished transfers from libcurl.
 */
static void
harvest(Pool *pool)
{
	CURLMsg    *msg;
	int			left;

	while ((msg = curl_multi_info_read(pool->multi, &left)) != NULL)
	{
		CURLcode	code = msg->data.result;
		char	   *private = NULL;
		Transfer   *t;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
		t = (Transfer *) private;

		/*
		 * Nothing was sent: once more, over another connection.  libcurl has
		 * closed the spoiled one, so this comes to an end.
		 */
		if (t->restart && !t->asked && t->restarts < MAX_RESTARTS)
		{
			curl_multi_remove_handle(pool->multi, t->easy);
			pool->running--;
			t->pool = NULL;
			t->restart = false;
			t->restarts++;
			t->errbuf[0] = '\0';
			t->state = TRANSFER_QUEUED;
			list_push(&pool->client->queued, t);
			continue;
		}
		transfer_finish(t, code);
	}
}

/* ---------- descriptors ---------- */

/*
 * Something happened on an idle connection: it was closed, or the server said
 * something unasked (408, for example, before it closes).  A request over it
 * would be lost at best, and at worst take that for its answer.  libcurl looks
 * at a connection before it uses it again, but old versions only whether it is
 * closed, and new ones once a second; on_prereq() does the rest.
 */
static void
fd_spoil(HttpClient *client, int fd)
{
	if (!client->fds[fd].spoiled)
	{
		client->fds[fd].spoiled = true;
		client->nspoiled++;
	}
}

/*
 * Is the connection with this local port spoiled?  Almost always there is no
 * spoiled one at all, so looking through all of them costs nothing.  (Two
 * connections with one port from two addresses: then a good one is replaced.)
 */
static bool
port_spoiled(HttpClient *client, int port)
{
	int			left = client->nspoiled;
	int			fd;

	for (fd = 0; left > 0 && fd < client->nfds; fd++)
	{
		struct sockaddr_storage address;
		socklen_t	len = sizeof(address);
		int			its_port = 0;

		if (!client->fds[fd].spoiled)
			continue;
		left--;
		address.ss_family = AF_UNSPEC;
		if (getsockname(fd, (struct sockaddr *) &address, &len) != 0)
			continue;
		if (address.ss_family == AF_INET)
			its_port = ntohs(((struct sockaddr_in *) &address)->sin_port);
		else if (address.ss_family == AF_INET6)
			its_port = ntohs(((struct sockaddr_in6 *) &address)->sin6_port);
		if (its_port == port)
			return true;
	}
	return false;
}

/*
 * Make the tables hold this descriptor.
 */
static bool
fd_room(HttpClient *client, int fd)
{
	int			n = client->nfds > 0 ? client->nfds : 64;
	FdState    *fds;
	int		   *changes;

	if (fd < client->nfds)
		return true;
	while (n <= fd)
		n *= 2;

	fds = realloc(client->fds, (size_t) n * sizeof(*fds));
	if (fds == NULL)
		return false;
	client->fds = fds;

	/* each descriptor is on the list at most once */
	changes = realloc(client->changes, (size_t) n * sizeof(*changes));
	if (changes == NULL)
		return false;
	client->changes = changes;

	memset(fds + client->nfds, 0,
		   (size_t) (n - client->nfds) * sizeof(*fds));
	client->nfds = n;
	return true;
}

/*
 * Enter, change or remove (events 0) a descriptor in the epoll set.
 */
static void
fd_register(HttpClient *client, int fd, uint32_t events)
{
	FdState    *st = &client->fds[fd];
	struct epoll_event ev;
	int			op;

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

/*
 * Note that a descriptor's registration may have to change.
 */
static void
fd_changed(HttpClient *client, int fd)
{
	if (client->fds[fd].changed)
		return;
	client->fds[fd].changed = true;
	client->changes[client->nchanges++] = fd;
}

/* ---------- libcurl's callbacks: no allocation that may raise ---------- */

/* libcurl wants to know when fd is ready, or no longer. */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	Pool	   *pool = arg;
	HttpClient *client = pool->client;
	FdState    *st;

	(void) easy;
	(void) socketp;

	/* without memory for it, the transfer ends with its time-out */
	if (!fd_room(client, fd))
		return 0;

	st = &client->fds[fd];
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

			/*
			 * What libcurl opened in other ways may be closed without a word,
			 * and its number given to somebody else: remove it at once.
			 */
			if (!st->ours && st->registered != 0)
				fd_register(client, fd, 0);
			break;
	}
	fd_changed(client, fd);
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
		pool->deadline_us = now_us() + (int64_t) timeout_ms * 1000;
	return 0;
}

/* Open a socket, closed on exec: the server starts other programs. */
static curl_socket_t
on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	HttpClient *client = arg;
	int			fd;

	(void) purpose;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
				address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (!fd_room(client, fd))
	{
		close(fd);
		return CURL_SOCKET_BAD;
	}
	client->fds[fd].pool = NULL;
	client->fds[fd].wanted = 0;
	client->fds[fd].registered = 0;
	client->fds[fd].ours = true;
	client->fds[fd].spoiled = false;
	client->fds[fd].tried = 0;
	return fd;
}

/* Close a socket; that also removes it from the epoll set. */
static int
on_close(void *arg, curl_socket_t fd)
{
	HttpClient *client = arg;

	if (fd < client->nfds)
	{
		client->fds[fd].pool = NULL;
		client->fds[fd].wanted = 0;
		client->fds[fd].registered = 0;
		client->fds[fd].ours = false;
		if (client->fds[fd].spoiled)
		{
			client->fds[fd].spoiled = false;
			client->nspoiled--;
		}
	}
	return close(fd);
}

/* A connection (and tunnel) stands, and the request will be sent now. */
static int
on_prereq(void *arg, char *remote_ip, char *local_ip, int remote_port,
		  int local_port)
{
	Transfer   *t = arg;

	(void) remote_ip;
	(void) local_ip;
	(void) remote_port;

	if (t->asked)
	{
		t->reason = "connection lost, request not repeated";
		return CURL_PREREQFUNC_ABORT;
	}
	if (t->client->nspoiled > 0 && port_spoiled(t->client, local_port))
	{
		t->restart = true;		/* harvest() sees to it */
		return CURL_PREREQFUNC_ABORT;
	}

	/* the first time, or once more because a connection was dead */
	t->head = HEAD_STATUS;
	t->status = 0;
	return CURL_PREREQFUNC_OK;
}

/* libcurl asks for the body. */
static size_t
on_read(char *buf, size_t size, size_t nitems, void *arg)
{
	Transfer   *t = arg;
	size_t		n = t->body_len - t->body_pos;

	if (n > size * nitems)
		n = size * nitems;

	/*
	 * the mark first: a volatile store stays before whatever sends the bytes
	 */
	if (!t->asked)
	{
		t->asked = true;
		if (t->journal != NULL)
			*t->journal = 1;
	}

	memcpy(buf, t->body + t->body_pos, n);
	t->body_pos += n;
	return n;
}

/* libcurl wants to rewind the body: never, once a byte of it was given. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	Transfer   *t = arg;

	if (!t->asked && offset == 0 && origin == SEEK_SET)
		return CURL_SEEKFUNC_OK;
	t->reason = "connection lost, request not repeated";
	return CURL_SEEKFUNC_FAIL;
}

/* One complete line of a head, or a trailer. */
static size_t
on_header(char *line, size_t size, size_t nitems, void *arg)
{
	size_t		len = size * nitems;

	return header_line(arg, line, len) ? len : 0;
}

/* A piece of the response's body; foreign bytes. */
static size_t
on_write(char *data, size_t size, size_t nmemb, void *arg)
{
	Transfer   *t = arg;
	size_t		len = size * nmemb;
	size_t		max = t->client->opt.max_response;
	size_t		keep = len;

	if (t->response_len + keep > max)
		keep = max - t->response_len;

	if (t->response_len + keep > t->response_room)
	{
		size_t		room =
		t->response_room > 0 ? t->response_room : FIRST_RESPONSE_BYTES;
		char	   *p;

		while (room < t->response_len + keep)
			room *= 2;
		p = realloc(t->response, room);
		if (p == NULL)
			keep = 0;
		else
		{
			t->response = p;
			t->response_room = room;
		}
	}

	if (keep > 0)
		memcpy(t->response + t->response_len, data, keep);
	t->response_len += keep;
	if (keep < len)
	{
		t->truncated = true;
		t->reason = "response too long";
		return 0;				/* ends the transfer */
	}
	return len;
}

/* ---------- heads ---------- */

/*
 * Look at one line as libcurl delivers it: complete, with its line end.  False
 * = enough of it, end the transfer.
 */
static bool
header_line(Transfer *t, const char *line, size_t len)
{
	const char *value;
	size_t		valuelen;
	bool		blank;
	int			status;

	if (t->head == HEAD_CLOSED)
		return true;			/* a proxy's answer to CONNECT */

	t->header_lines++;
	t->header_bytes += len;
	if (t->header_lines > MAX_HEADER_LINES ||
		t->header_bytes > MAX_HEADER_BYTES)
	{
		t->reason = "response head too long";
		return false;
	}

	/* a line without its end is no line */
	if (len == 0 || line[len - 1] != '\n')
		return true;
	blank = len == 1 || (len == 2 && line[0] == '\r');

	switch (t->head)
	{
		case HEAD_CLOSED:
		case HEAD_DONE:
			break;

		case HEAD_STATUS:
			status = parse_status(line, len);
			if (status >= 200)
			{
				t->status = status;
				t->head = HEAD_FINAL;
			}
			else if (status > 0)
			{
				t->status = status;
				t->head = HEAD_INTERIM;
				if (++t->interims > MAX_INTERIM)
				{
					t->reason = "too many interim responses";
					return false;
				}
			}
			break;

		case HEAD_INTERIM:
			if (blank)
				t->head = HEAD_STATUS;
			break;

		case HEAD_FINAL:
			if (blank)
				t->head = HEAD_DONE;
			else if (header_is(line, len, "retry-after", &value, &valuelen))
			{
				int64_t		ms = parse_retry_after(value, valuelen,
												   time(NULL));

				/* of several, the longest */
				if (ms > t->retry_after_ms)
					t->retry_after_ms = ms;
			}
			else if (header_is(line, len, "x-line-request-id", &value,
							   &valuelen))
				copy_printable(t->request_id, sizeof(t->request_id), value,
							   valuelen);
			break;
	}
	return true;
}

/*
 * Status of a complete status line "HTTP/x[.y] nnn[ reason]", or -1.
 */
static int
parse_status(const char *line, size_t len)
{
	size_t		i = 5;
	int			status;

	if (len < 10 || memcmp(line, "HTTP/", 5) != 0)
		return -1;
	if (line[i] < '0' || line[i] > '9')
		return -1;
	i++;
	if (line[i] == '.')
	{
		i++;
		if (line[i] < '0' || line[i] > '9')
			return -1;
		i++;
	}
	if (line[i++] != ' ' || i + 4 > len)
		return -1;
	if (line[i] < '1' || line[i] > '9' ||
		line[i + 1] < '0' || line[i + 1] > '9' ||
		line[i + 2] < '0' || line[i + 2] > '9')
		return -1;
	status = (line[i] - '0') * 100 + (line[i + 1] - '0') * 10 +
		(line[i + 2] - '0');
	i += 3;
	if (line[i] != ' ' && line[i] != '\r' && line[i] != '\n')
		return -1;
	return status;
}

/*
 * Is this the header called name (lower case)?  If so, its value without the
 * blanks around it.
 */
static bool
header_is(const char *line, size_t len, const char *name, const char **value,
		  size_t *valuelen)
{
	size_t		i;

	for (i = 0; name[i] != '\0'; i++)
	{
		char		c;

		if (i >= len)
			return false;
		c = line[i];
		if (c >= 'A' && c <= 'Z')
			c = (char) (c - 'A' + 'a');
		if (c != name[i])
			return false;
	}
	if (i >= len || line[i] != ':')
		return false;

	line += i + 1;
	len -= i + 1;
	while (len > 0 && (*line == ' ' || *line == '\t'))
	{
		line++;
		len--;
	}
	while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' ||
					   line[len - 1] == '\r' || line[len - 1] == '\n'))
		len--;
	*value = line;
	*valuelen = len;
	return true;
}

/*
 * Retry-After (RFC 9110 10.2.3): seconds or an HTTP date, as milliseconds from
 * now, 0 when it is past, at most MAX_RETRY_AFTER_MS; -1 = unreadable.
 */
static int64_t
parse_retry_after(const char *value, size_t len, time_t now)
{
	char		date_text[64];
	int64_t		seconds = 0;
	size_t		i;
	time_t		when;

	for (i = 0; i < len && value[i] >= '0' && value[i] <= '9'; i++)
	{
		seconds = seconds * 10 + (value[i] - '0');
		if (seconds > MAX_RETRY_AFTER_MS / 1000)
			seconds = MAX_RETRY_AFTER_MS / 1000;
	}
	if (i > 0 && i == len)
		return seconds * 1000;

	/* a date begins with the name of a day; curl_getdate() takes much more */
	if (len < 16 || len >= sizeof(date_text) ||
		!((value[0] >= 'A' && value[0] <= 'Z') ||
		  (value[0] >= 'a' && value[0] <= 'z')))
		return -1;
	copy_printable(date_text, sizeof(date_text), value, len);
	when = curl_getdate(date_text, NULL);
	if (when == (time_t) -1)
		return -1;
	if (when <= now)
		return 0;
	if (when - now > MAX_RETRY_AFTER_MS / 1000)
		return MAX_RETRY_AFTER_MS;
	return (int64_t) (when - now) * 1000;
}

/*
 * Copy foreign text as printable ASCII, cut to room - 1 bytes, terminated.
 */
static void
copy_printable(char *dst, size_t room, const char *src, size_t len)
{
	size_t		i;

	while (len > 0 && (src[len - 1] == '\n' || src[len - 1] == '\r'))
		len--;
	if (len > room - 1)
		len = room - 1;
	for (i = 0; i < len; i++)
		dst[i] = src[i] >= 0x20 && src[i] < 0x7F ? src[i] : '?';
	dst[len] = '\0';
}

/* ---------- odds and ends ---------- */

/*
 * Block everything that can be waited for; what a fault raises stays, since
 * the kernel kills a process that blocks those.
 */
static void
block_signals(sigset_t *saved)
{
	sigset_t	all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGSYS);
	sigemptyset(saved);
	pthread_sigmask(SIG_BLOCK, &all, saved);
}

/*
 * Monotonic time in microseconds; never 0.
 */
static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000 + 1;
}
