/*-------------------------------------------------------------------------
 *
 * http.c
 *		An HTTP client for many concurrent small POSTs, over connections that
 *		libcurl makes.  The one door to libcurl.
 *
 * How a request can be sent only once
 *
 * libcurl is asked for connections, never for requests (CURLOPT_CONNECT_ONLY):
 * names, TCP, the tunnel of a proxy, TLS and its verification are its work.
 * Head and body are bytes of ours, in one buffer, and leave by
 * curl_easy_send(), usually in one call.  Nothing but conn_send() sends them,
 * so nothing repeats them.
 *
 * The caller's journal is set immediately before the first of these calls.
 * As long as fewer bytes were accepted than there are, no server has the whole
 * request, and a message without its end is none: Content-Length says so.
 * Under TLS, what was encrypted but not accepted may lie in libcurl, and could
 * leave when it closes the connection; so a socket is always shut down before
 * libcurl closes it.
 *
 * What counts as an answer
 *
 * A complete status line of a final response (200 or above), as http1.c reads
 * it.  If it comes before the request was accepted whole, nothing more is
 * sent, and the answer is taken as it is when it refuses (3xx, 4xx).  But 2xx,
 * 5xx, 408 and 425 then cannot mean what they say of a message that no server
 * has, so they become HTTP_NOT_SENT.
 *
 * Whose silence
 *
 * The deadlines are ours.  A step first reads the sockets, and a transfer
 * whose time is over is read once more before it is given up.  So an answer
 * that came while this process stood still counts.
 *
 * Connections
 *
 * A connection is good for any request to its origin: the same scheme, host,
 * port, proxy and CA file.  An origin keeps its idle ones on a stack, so that
 * few stay warm, and the transfers that wait for one in a queue; a new one is
 * made when more wait than are under way.  Before an idle one is used, it is
 * looked at: what became readable was closed by the server, or speaks unasked
 * (or brings a ticket of TLS 1.3, which is read and forgotten).  None lives
 * longer than max_lifetime_s, so that a changed address is followed, and none
 * outlives the CA file that it was verified with.
 *
 * libcurl closes, whenever it makes a connection, others that it thinks idle
 * and that something arrived on.  Ours are not idle in its eyes once
 * curl_easy_recv() was called, so that is done at once.  It also looks for a
 * connection in a list each time it sends or receives: a pool, which is a
 * multi handle, therefore holds few.
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
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/http.h"
#include "http/http1.h"

#if LIBCURL_VERSION_NUM < 0x075100
#error "line_notify needs libcurl 7.81 or newer"
#endif

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

/* First size of a buffer for a body; LINE's usual answer is "{}". */
#define FIRST_RESPONSE_BYTES	512

/*
 * What is received at once, by us and by libcurl: the most that a record of
 * TLS holds.
 */
#define RECEIVE_BYTES		16384

/* Sockets served at once, and how often in a step. */
#define EVENTS_PER_TURN		256
#define TURNS_PER_STEP		4

/* Requests begun per step, so that the caller's interrupts wait for ms only */
#define STARTS_PER_STEP		512

/*
 * Connections under way to one origin: each may cost a resolver thread, and
 * the server a handshake.  As many as stand already, within these bounds: on a
 * way where a handshake takes 0.6 s, 400 stand after 4 s, and a server that is
 * slow at them is not given thousands to make.
 */
#define MIN_CONNECTING		32
#define MAX_CONNECTING		128

/*
 * When there was no descriptor for another one, none is asked for so long (us).
 */
#define NO_SOCKET_US		100000

/* Connections in a pool; see the top of this file. */
#define POOL_CONNECTIONS	64

/* Connections that one request may lose before anything was sent over them */
#define MAX_RESTARTS		64

/* Origins that are remembered though nothing goes there */
#define KEEP_ORIGINS		64

/* How long a resolved address is used, in seconds: LINE moves by DNS. */
#define DNS_CACHE_S			60L

/* HttpOptions.max_lifetime_s when it is not given */
#define LIFETIME_S			300

/* How often a CA file is looked at (us) */
#define CA_CHECK_US			1000000

typedef enum TransferState
{
	TRANSFER_FREE,				/* -> TRANSFER_WAITING */
	TRANSFER_WAITING,			/* for a connection -> TRANSFER_RUNNING,
								 * TRANSFER_DONE */
	TRANSFER_RUNNING,			/* on a connection -> TRANSFER_DONE; back to
								 * TRANSFER_WAITING when that was dead */
	TRANSFER_DONE,				/* result not yet taken -> TRANSFER_TAKEN */
	TRANSFER_TAKEN				/* result with the caller, until its next call
								 * -> TRANSFER_FREE */
} TransferState;

typedef enum ConnState
{
	CONN_FREE,					/* no connection -> CONN_CONNECTING */
	CONN_CONNECTING,			/* libcurl makes it -> CONN_IDLE, CONN_FREE */
	CONN_IDLE,					/* -> CONN_BUSY, CONN_FREE */
	CONN_BUSY					/* has a transfer -> CONN_IDLE, CONN_FREE */
} ConnState;

typedef struct Conn Conn;
typedef struct Origin Origin;

typedef struct Pool
{
	struct Pool *next;
	HttpClient *client;
	CURLM	   *multi;
	int			nconns;			/* connections in it, of any state */
	bool		stale;			/* takes no more connections */
	int64_t		deadline_us;	/* libcurl's timer, -1 = none */
} Pool;

typedef struct Transfer
{
	struct Transfer *next;		/* in the list of its state */
	HttpClient *client;
	TransferState state;
	Origin	   *origin;			/* while waiting or running */
	Conn	   *conn;			/* while running */

	/* the request */
	uint64_t	tag;
	bool		is_post;
	volatile uint8_t *journal;
	char	   *out;			/* head and body */
	size_t		head_len;		/* with the token in it */
	size_t		out_len;
	size_t		out_room;
	size_t		sent;			/* bytes that were accepted */
	int			connect_timeout_ms;
	int			total_timeout_ms;
	int64_t		deadline_us;

	/* what became of it */
	int			restarts;
	bool		aborted;
	bool		new_connection;
	Http1Answer answer;
	char	   *response;
	size_t		response_len;
	size_t		response_room;
	bool		truncated;
	HttpVerdict verdict;
	CURLcode	code;
	int64_t		started_us;
	int64_t		elapsed_us;
	char		error[CURL_ERROR_SIZE];
} Transfer;

/* A singly linked list with both ends */
typedef struct TransferList
{
	Transfer   *head;
	Transfer   *tail;
	int			n;
} TransferList;

/* What shows that a file is another one than before; all 0 = not there */
typedef struct FileStamp
{
	dev_t		dev;
	ino_t		ino;
	off_t		size;
	struct timespec changed;
} FileStamp;

struct Origin
{
	Origin	   *next;
	HttpClient *client;
	uint32_t	hash;			/* of what follows */
	char	   *base;			/* scheme://host[:port] */
	char	   *ca_file;		/* "" = libcurl's default */
	char	   *proxy;			/* "" = none */
	bool		https;
	Conn	   *idle_head;		/* used last */
	Conn	   *idle_tail;		/* idle for the longest time */
	TransferList waiting;
	int			nconns;			/* connections of any state */
	int			nconnecting;
	unsigned int generation;	/* connections of an older one are closed */
	FileStamp	ca_stamp;
	int64_t		ca_checked_us;	/* 0 = never */
};

struct Conn
{
	Conn	   *next;			/* idle ones of an origin, or free ones */
	Conn	   *prev;
	Pool	   *pool;
	Origin	   *origin;
	CURL	   *easy;
	int			fd;				/* -1 while connecting */
	ConnState	state;
	bool		used;			/* had a request */
	int			no_socket;		/* errno, when this process could not open one */
	unsigned int generation;
	Transfer   *transfer;		/* while CONN_BUSY */
	int64_t		idle_us;		/* since when */
	int64_t		dies_us;		/* takes no request from then on */
	char		error[CURL_ERROR_SIZE];
};

/* What is known of a descriptor, indexed by its number */
typedef struct FdState
{
	Conn	   *conn;			/* ours, or */
	Pool	   *pool;			/* whose libcurl asked for it */
	uint32_t	wanted;			/* EPOLLIN, EPOLLOUT as libcurl wants it */
	uint32_t	registered;		/* as the epoll set has it, 0 = not in it */
} FdState;

struct HttpClient
{
	HttpOptions opt;
	int			epfd;
	Pool	   *pools;
	Transfer   *transfers;		/* max_transfers of them */
	TransferList idle;			/* TRANSFER_FREE */
	TransferList done;			/* TRANSFER_DONE */
	Transfer   *taken;			/* TRANSFER_TAKEN, or NULL */
	int			active;			/* waiting, running, done */
	int			nwaiting;
	Origin	   *origins;
	Origin	   *last_origin;	/* found last, or NULL */
	int			norigins;
	Conn	   *conns;			/* max_connections of them */
	Conn	   *free_conns;
	int			nconns;
	int			nconnecting;
	uint32_t	made;			/* connections so far */
	int64_t		no_socket_us;	/* when there was no descriptor for one; 0 =
								 * another may be tried */
	int64_t		earliest_us;	/* no transfer has an earlier deadline */
	bool		more;			/* a step has something to do */
	bool		masked;			/* signals are blocked */
	sigset_t	mask;			/* as it was before */
	FdState    *fds;
	int			nfds;
	struct epoll_event events[EVENTS_PER_TURN];
	char		buf[RECEIVE_BYTES];
};

static Pool *pool_get(HttpClient *client);
static void pool_free(Pool *pool);
static void pool_sweep(HttpClient *client);
static void pool_timer(Pool *pool);

static Origin *origin_find(HttpClient *client, const Http1Url *parts,
						   const char *url, const char *ca_file,
						   const char *proxy);
static void origin_free(Origin *o);
static void origin_forget(Origin *o);
static void origin_check_ca(Origin *o, int64_t now);
static bool origin_room(Origin *o);
static int	origin_max_connecting(const Origin *o);
static bool close_idle(HttpClient *client);
static void origin_serve(Origin *o, int64_t now, int *starts);
static void origin_failed(Origin *o, CURLcode code, const char *error);

static bool conn_open(Origin *o, int connect_timeout_ms);
static bool conn_options(Conn *c, int connect_timeout_ms);
static void conn_made(Conn *c, CURLcode code);
static void conn_no_socket(Conn *c);
static void conn_close(Conn *c);
static bool conn_quiet(Conn *c);
static Conn *conn_idle(Origin *o, int64_t now);
static void conn_begin(Conn *c, Transfer *t);
static void conn_end(Conn *c, bool reusable);
static bool conn_send(Conn *c);
static bool conn_read(Conn *c);
static bool conn_restart(Conn *c);
static void idle_unlink(Conn *c);

static bool transfer_prepare(Transfer *t, const HttpRequest *req,
							 const char **why);
static bool transfer_take(Transfer *t, const char *data, size_t len,
						  bool *surplus);
static bool transfer_keep(Transfer *t, const char *data, size_t len);
static void transfer_finish(Transfer *t);
static void transfer_fail(Transfer *t, CURLcode code, const char *error);
static HttpVerdict transfer_verdict(const Transfer *t);
static int64_t transfer_retry_after_ms(const Transfer *t);
static void transfer_release(Transfer *t);
static bool reserve(char **buf, size_t *room, size_t need);

static bool serve_sockets(HttpClient *client);
static void serve_timers(HttpClient *client);
static void serve_waiting(HttpClient *client);
static void serve_deadlines(HttpClient *client);
static void harvest(HttpClient *client);

static bool fd_room(HttpClient *client, int fd);
static void fd_register(HttpClient *client, int fd, uint32_t events);

static int	on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
					  void *socketp);
static int	on_timer(CURLM *multi, long timeout_ms, void *arg);
static curl_socket_t on_open(void *arg, curlsocktype purpose,
							 struct curl_sockaddr *address);
static int	on_close(void *arg, curl_socket_t fd);

static void mask_signals(HttpClient *client);
static void unmask_signals(HttpClient *client);
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
	list->n++;
}

static void
list_push_front(TransferList *list, Transfer *t)
{
	t->next = list->head;
	list->head = t;
	if (list->tail == NULL)
		list->tail = t;
	list->n++;
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
		list->n--;
	}
	return t;
}

static void
list_remove(TransferList *list, Transfer *t)
{
	Transfer   *before = NULL;
	Transfer   *p;

	for (p = list->head; p != NULL && p != t; p = p->next)
		before = p;
	if (p == NULL)
		return;
	if (before != NULL)
		before->next = t->next;
	else
		list->head = t->next;
	if (list->tail == t)
		list->tail = before;
	t->next = NULL;
	list->n--;
}

/* ---------- the interface; contracts are in http.h ---------- */

HttpClient *
ln_http_create(const HttpOptions *opt, char *err, size_t errlen)
{
	static bool global_done = false;
	HttpClient *client = calloc(1, sizeof(HttpClient));
	const char *why = NULL;
	int			i;

	if (client == NULL)
		why = "Out of memory.";
	else
	{
		client->epfd = -1;
		mask_signals(client);

		/* never undone: other code of this process may use libcurl as well */
		if (!global_done && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
			why = "libcurl could not be initialized.";
		else
			global_done = true;
	}

	if (why == NULL)
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
		if (client->opt.max_lifetime_s <= 0)
			client->opt.max_lifetime_s = LIFETIME_S;

		client->earliest_us = -1;
		client->epfd = epoll_create1(EPOLL_CLOEXEC);
		client->transfers = calloc((size_t) client->opt.max_transfers,
								   sizeof(Transfer));
		client->conns = calloc((size_t) client->opt.max_connections,
							   sizeof(Conn));
		if (client->epfd < 0)
			why = "An epoll descriptor could not be created.";
		else if (client->transfers == NULL || client->conns == NULL ||
				 pool_get(client) == NULL ||
				 !fd_room(client, client->epfd))
			why = "Out of memory.";
		else
		{
			for (i = 0; i < client->opt.max_transfers; i++)
			{
				client->transfers[i].client = client;
				list_push(&client->idle, &client->transfers[i]);
			}
			for (i = client->opt.max_connections - 1; i >= 0; i--)
			{
				client->conns[i].fd = -1;
				client->conns[i].next = client->free_conns;
				client->free_conns = &client->conns[i];
			}
		}
	}

	if (client != NULL)
		unmask_signals(client);
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
	int			i;

	if (client == NULL)
		return;

	mask_signals(client);
	for (i = 0; client->conns != NULL && i < client->opt.max_connections; i++)
	{
		if (client->conns[i].state != CONN_FREE)
			conn_close(&client->conns[i]);
	}
	while (client->pools != NULL)
	{
		Pool	   *pool = client->pools;

		client->pools = pool->next;
		pool_free(pool);
	}
	unmask_signals(client);

	for (i = 0; client->transfers != NULL && i < client->opt.max_transfers;
		 i++)
	{
		if (client->transfers[i].out != NULL)
			explicit_bzero(client->transfers[i].out,
						   client->transfers[i].head_len);
		free(client->transfers[i].out);
		free(client->transfers[i].response);
	}
	while (client->origins != NULL)
	{
		Origin	   *o = client->origins;

		client->origins = o->next;
		origin_free(o);
	}
	if (client->epfd >= 0)
		close(client->epfd);
	free(client->transfers);
	free(client->conns);
	free(client->fds);
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
	int64_t		earliest = client->active > 0 ? client->earliest_us : -1;
	int64_t		left;
	Pool	   *pool;

	if (client->more || client->done.head != NULL)
		return 0;

	for (pool = client->pools; pool != NULL; pool = pool->next)
	{
		if (pool->deadline_us >= 0 &&
			(earliest < 0 || pool->deadline_us < earliest))
			earliest = pool->deadline_us;
	}
	if (client->no_socket_us != 0 && client->nwaiting > 0 &&
		(earliest < 0 || client->no_socket_us + NO_SOCKET_US < earliest))
		earliest = client->no_socket_us + NO_SOCKET_US;
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
		t->started_us = now_us();
		t->deadline_us = t->started_us + (int64_t) t->total_timeout_ms * 1000;
		if (client->earliest_us < 0 || t->deadline_us < client->earliest_us)
			client->earliest_us = t->deadline_us;
		t->state = TRANSFER_WAITING;
		list_push(&t->origin->waiting, t);
		client->nwaiting++;
		client->active++;
		client->more = true;
		return true;
	}

	if (errlen > 0)
		snprintf(err, errlen, "%s", why);
	return false;
}

void
ln_http_step(HttpClient *client)
{
	bool		all = false;
	int			turn;

	if (client->taken != NULL)
		transfer_release(client->taken);
	client->more = false;
	if (client->no_socket_us != 0 &&
		now_us() - client->no_socket_us >= NO_SOCKET_US)
		client->no_socket_us = 0;

	/*
	 * First the sockets: what happened to idle connections must be known
	 * before they are used, and what was answered before it times out.
	 */
	for (turn = 0; turn < TURNS_PER_STEP && !all; turn++)
		all = serve_sockets(client);
	if (!all)
		client->more = true;
	if (client->nconnecting > 0)
		harvest(client);
	serve_waiting(client);

	/* what libcurl wants to do at once, as for a connection that begins */
	serve_timers(client);
	if (client->nconnecting > 0)
	{
		harvest(client);
		serve_waiting(client);
	}

	if (all && client->earliest_us >= 0 && now_us() >= client->earliest_us)
		serve_deadlines(client);
	pool_sweep(client);
	unmask_signals(client);
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
	if (client->active == 0)
		client->earliest_us = -1;

	res->tag = t->tag;
	res->verdict = t->verdict;
	res->status = t->verdict == HTTP_STATUS ? t->answer.status : 0;
	res->aborted = t->aborted;
	res->retry_after_ms = transfer_retry_after_ms(t);
	memcpy(res->request_id, t->answer.request_id, sizeof(res->request_id));
	res->curl_code = (int) t->code;
	res->body = t->response_len > 0 ? t->response : "";
	res->body_len = t->response_len;
	res->body_truncated = t->truncated;
	res->elapsed_us = t->elapsed_us;
	res->new_connection = t->new_connection;
	if (t->verdict == HTTP_NOT_SENT && ln_http1_final(&t->answer))
		snprintf(res->error, sizeof(res->error),
				 "status %d came before the request was sent",
				 t->answer.status);
	else
		ln_http1_printable(res->error, sizeof(res->error), t->error,
						   strlen(t->error));
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
	int			i;

	if (client->taken != NULL)
		transfer_release(client->taken);

	for (i = 0; i < client->opt.max_transfers; i++)
	{
		Transfer   *t = &client->transfers[i];

		/* what lies there already was not aborted */
		if (t->state == TRANSFER_RUNNING && conn_read(t->conn))
			conn_close(t->conn);
		else if (t->state == TRANSFER_WAITING)
		{
			list_remove(&t->origin->waiting, t);
			client->nwaiting--;
		}
		else
			continue;
		t->aborted = true;
		transfer_fail(t, CURLE_ABORTED_BY_CALLBACK, "aborted");
	}
	for (i = 0; i < client->opt.max_connections; i++)
	{
		if (client->conns[i].state == CONN_CONNECTING)
			conn_close(&client->conns[i]);
	}
	pool_sweep(client);
	unmask_signals(client);
}

void
ln_http_forget_connections(HttpClient *client)
{
	Origin	   *o;

	if (client->taken != NULL)
		transfer_release(client->taken);

	for (o = client->origins; o != NULL; o = o->next)
		origin_forget(o);
	pool_sweep(client);
	unmask_signals(client);
	if (client->nwaiting > 0)
		client->more = true;
}

/*
 * The kind of a fault, for people; the sentence beside it tells the rest.
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
 * A pool with room for a connection.  NULL = no memory.
 */
static Pool *
pool_get(HttpClient *client)
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
	mask_signals(client);
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
static void
pool_free(Pool *pool)
{
	int			fd;

	mask_signals(pool->client);
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
 * Free the pools that nothing is in, but one, which knows addresses and
 * authorities.
 */
static void
pool_sweep(HttpClient *client)
{
	Pool	  **link = &client->pools;
	bool		kept = false;

	while (*link != NULL)
	{
		Pool	   *pool = *link;

		if (pool->nconns == 0 && (pool->stale || kept))
		{
			*link = pool->next;
			pool_free(pool);
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
static void
pool_timer(Pool *pool)
{
	long		timeout_ms = -1;

	if (curl_multi_timeout(pool->multi, &timeout_ms) == CURLM_OK)
		(void) on_timer(pool->multi, timeout_ms, pool);
}

/* ---------- origins ---------- */

/*
 * The origin of a request; made when it is not known yet.  NULL = no memory.
 */
static Origin *
origin_find(HttpClient *client, const Http1Url *parts, const char *url,
			const char *ca_file, const char *proxy)
{
	uint32_t	hash = 2166136261u;
	Origin	  **link;
	Origin	   *o = client->last_origin;
	size_t		i;

#define IS_IT(o) (strncmp((o)->base, url, parts->base_len) == 0 && \
				  (o)->base[parts->base_len] == '\0' && \
				  strcmp((o)->ca_file, ca_file) == 0 && \
				  strcmp((o)->proxy, proxy) == 0)

	if (o != NULL && IS_IT(o))
		return o;
	for (i = 0; i < parts->base_len; i++)
		hash = (hash ^ (unsigned char) url[i]) * 16777619u;
	for (o = client->origins; o != NULL; o = o->next)
	{
		if (o->hash == hash && IS_IT(o))
		{
			client->last_origin = o;
			return o;
		}
	}
#undef IS_IT

	/* settings change, and what they were is to be forgotten */
	client->last_origin = NULL;
	for (link = &client->origins;
		 *link != NULL && client->norigins >= KEEP_ORIGINS;)
	{
		o = *link;
		if (o->nconns == 0 && o->waiting.head == NULL)
		{
			*link = o->next;
			client->norigins--;
			origin_free(o);
		}
		else
			link = &o->next;
	}

	o = calloc(1, sizeof(Origin));
	if (o == NULL)
		return NULL;
	o->client = client;
	o->hash = hash;
	o->https = parts->https;
	o->base = strndup(url, parts->base_len);
	o->ca_file = strdup(ca_file);
	o->proxy = strdup(proxy);
	if (o->base == NULL || o->ca_file == NULL || o->proxy == NULL)
	{
		origin_free(o);
		return NULL;
	}
	o->next = client->origins;
	client->origins = o;
	client->last_origin = o;
	client->norigins++;
	return o;
}

static void
origin_free(Origin *o)
{
	free(o->base);
	free(o->ca_file);
	free(o->proxy);
	free(o);
}

/*
 * What is idle or under way is closed now, what is busy afterwards; and new
 * connections come from new pools, since libcurl's multi handle keeps
 * addresses and authorities.
 */
static void
origin_forget(Origin *o)
{
	HttpClient *client = o->client;
	Pool	   *pool;
	int			i;

	o->generation++;
	while (o->idle_head != NULL)
		conn_close(o->idle_head);
	for (i = 0; o->nconnecting > 0 && i < client->opt.max_connections; i++)
	{
		if (client->conns[i].state == CONN_CONNECTING &&
			client->conns[i].origin == o)
			conn_close(&client->conns[i]);
	}
	for (pool = client->pools; pool != NULL; pool = pool->next)
		pool->stale = true;
}

/*
 * Has the file with the authorities been replaced?
 */
static void
origin_check_ca(Origin *o, int64_t now)
{
	FileStamp	stamp;
	struct stat st;
	const char *path = o->ca_file;

	if (!o->https ||
		(o->ca_checked_us != 0 && now - o->ca_checked_us < CA_CHECK_US))
		return;

	if (*path == '\0')
	{
		const		curl_version_info_data *info =
		curl_version_info(CURLVERSION_NOW);

		path = info->cainfo != NULL ? info->cainfo : info->capath;
	}
	memset(&stamp, 0, sizeof(stamp));
	if (path != NULL && stat(path, &st) == 0)
	{
		stamp.dev = st.st_dev;
		stamp.ino = st.st_ino;
		stamp.size = st.st_size;
		stamp.changed = st.st_mtim;
	}
	if (o->ca_checked_us != 0 &&
		(stamp.dev != o->ca_stamp.dev || stamp.ino != o->ca_stamp.ino ||
		 stamp.size != o->ca_stamp.size ||
		 stamp.changed.tv_sec != o->ca_stamp.changed.tv_sec ||
		 stamp.changed.tv_nsec != o->ca_stamp.changed.tv_nsec))
		origin_forget(o);
	o->ca_stamp = stamp;
	o->ca_checked_us = now;
}

/*
 * May another connection be opened?  The idle one of another origin makes
 * room.
 */
static bool
origin_room(Origin *o)
{
	HttpClient *client = o->client;

	if (o->nconns >= client->opt.max_host_connections ||
		client->no_socket_us != 0)
		return false;
	return client->free_conns != NULL || close_idle(client);
}

/*
 * How many may be under way.
 */
static int
origin_max_connecting(const Origin *o)
{
	int			n = o->nconns - o->nconnecting;

	return n < MIN_CONNECTING ? MIN_CONNECTING :
		n > MAX_CONNECTING ? MAX_CONNECTING : n;
}

/*
 * Close an idle connection, of whatever origin.  False = there is none.
 */
static bool
close_idle(HttpClient *client)
{
	Origin	   *o;

	for (o = client->origins; o != NULL; o = o->next)
	{
		if (o->idle_tail != NULL)
		{
			conn_close(o->idle_tail);
			return true;
		}
	}
	return false;
}

/*
 * Give its waiting transfers connections.
 */
static void
origin_serve(Origin *o, int64_t now, int *starts)
{
	origin_check_ca(o, now);
	while (o->waiting.head != NULL)
	{
		Transfer   *t = o->waiting.head;
		Conn	   *c;

		/* its time is over: not to be sent any more */
		if (t->deadline_us <= now)
			return;
		if (*starts >= STARTS_PER_STEP)
		{
			o->client->more = true;
			return;
		}

		c = conn_idle(o, now);
		if (c != NULL)
		{
			(*starts)++;
			(void) list_pop(&o->waiting);
			o->client->nwaiting--;
			conn_begin(c, t);
			continue;
		}

		if (o->nconnecting >= o->waiting.n ||
			o->nconnecting >= origin_max_connecting(o) || !origin_room(o))
			return;
		if (!conn_open(o, t->connect_timeout_ms))
			origin_failed(o, CURLE_FAILED_INIT,
						  "libcurl could not begin a connection");
	}
}

/*
 * A connection did not come about.  It was made for one transfer, so one
 * fails: the one that has waited for the longest time.  Unless there is still
 * one under way for each: then its transfer has been served otherwise.
 */
static void
origin_failed(Origin *o, CURLcode code, const char *error)
{
	int64_t		now = now_us();
	Transfer   *t;

	if (o->waiting.n <= o->nconnecting)
		return;
	while ((t = list_pop(&o->waiting)) != NULL)
	{
		o->client->nwaiting--;
		transfer_fail(t, code, error);

		/*
		 * When there is no connection at all, also those that it is too late
		 * for: they would not fare better.
		 */
		t = o->waiting.head;
		if (t == NULL || o->nconns > o->nconnecting ||
			now - t->started_us < (int64_t) t->connect_timeout_ms * 1000)
			break;
	}
}

/* ---------- connections ---------- */

/*
 * Begin to make a connection.  False = no memory.
 */
static bool
conn_open(Origin *o, int connect_timeout_ms)
{
	HttpClient *client = o->client;
	Pool	   *pool = pool_get(client);
	Conn	   *c = client->free_conns;
	CURL	   *easy;

	if (pool == NULL || c == NULL)
		return false;
	easy = curl_easy_init();
	if (easy == NULL)
		return false;

	client->free_conns = c->next;
	memset(c, 0, sizeof(*c));
	c->fd = -1;
	c->easy = easy;
	c->origin = o;
	c->pool = pool;
	c->generation = o->generation;
	c->state = CONN_CONNECTING;
	mask_signals(client);
	if (!conn_options(c, connect_timeout_ms) ||
		curl_multi_add_handle(pool->multi, easy) != CURLM_OK)
	{
		curl_easy_cleanup(easy);
		c->state = CONN_FREE;
		c->easy = NULL;
		c->next = client->free_conns;
		client->free_conns = c;
		return false;
	}
	pool->nconns++;
	pool->deadline_us = 0;
	o->nconns++;
	o->nconnecting++;
	client->nconns++;
	client->nconnecting++;
	return true;
}

/*
 * What libcurl has to know.
 */
static bool
conn_options(Conn *c, int connect_timeout_ms)
{
	HttpClient *client = c->origin->client;
	const Origin *o = c->origin;
	CURL	   *easy = c->easy;

	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);

#if LIBCURL_VERSION_NUM >= 0x075700

	/*
	 * Otherwise the end of a transfer waits for its resolver thread, and with
	 * it for a name server that does not answer.
	 */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif

	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, c);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);

#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
					 (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);

	/* what ALPN offers, and all that http1.c speaks */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
					 (long) CURL_HTTP_VERSION_1_1);

	/* "" is no proxy, whatever the environment says; and no exceptions */
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	if (curl_easy_setopt(easy, CURLOPT_PROXY, o->proxy) != CURLE_OK)
		return false;
	curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);

	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION,
					 (long) CURL_SSLVERSION_TLSv1_2);

	/* a resumed session is not verified again, and the CA file may be new */
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);

	curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT,
					 client->opt.max_lifetime_s < DNS_CACHE_S ?
					 (long) client->opt.max_lifetime_s : DNS_CACHE_S);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long) RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
					 (long) connect_timeout_ms);

	/* this file and nothing beside it: so not the default directory */
	if (o->ca_file[0] != '\0' &&
		(curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca_file) != CURLE_OK ||
		 curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) != CURLE_OK ||
		 curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO,
						  o->ca_file) != CURLE_OK ||
		 curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL) != CURLE_OK))
		return false;
	return curl_easy_setopt(easy, CURLOPT_URL, o->base) == CURLE_OK;
}

/*
 * A connection did not come about because this process may open no more
 * descriptors: no fault of the server.  An idle one makes room; else what waits
 * goes over the others of its origin, and fails if there is none.
 */
static void
conn_no_socket(Conn *c)
{
	Origin	   *o = c->origin;
	HttpClient *client = o->client;
	char		error[CURL_ERROR_SIZE];

	snprintf(error, sizeof(error), "could not open a socket: %s",
			 strerror(c->no_socket));
	conn_close(c);
	if (close_idle(client))
		return;
	client->no_socket_us = now_us();
	if (o->nconns == 0)
		origin_failed(o, CURLE_COULDNT_CONNECT, error);
}

/*
 * libcurl is done with making a connection.
 */
static void
conn_made(Conn *c, CURLcode code)
{
	Origin	   *o = c->origin;
	HttpClient *client = o->client;
	curl_socket_t fd = CURL_SOCKET_BAD;
	int64_t		life_us = (int64_t) client->opt.max_lifetime_s * 1000000;

	if (code != CURLE_OK && c->no_socket != 0)
	{
		conn_no_socket(c);
		return;
	}
	if (code != CURLE_OK)
	{
		char		error[CURL_ERROR_SIZE];

		snprintf(error, sizeof(error), "%s", c->error[0] != '\0' ? c->error :
				 curl_easy_strerror(code));
		conn_close(c);
		origin_failed(o, code, error);
		return;
	}

	/*
	 * Another connection that began at this moment may have led libcurl to
	 * close this one, because of a ticket for instance: once more.
	 */
	curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD || !fd_room(client, fd))
	{
		conn_close(c);
		if (o->waiting.head != NULL &&
			o->waiting.head->restarts++ >= MAX_RESTARTS)
			origin_failed(o, CURLE_COULDNT_CONNECT,
						  "connections are lost as they are made");
		return;
	}

	o->nconnecting--;
	client->nconnecting--;
	c->fd = fd;
	client->fds[fd].conn = c;
	client->fds[fd].pool = NULL;
	fd_register(client, fd, EPOLLIN);

	/* not all at the same time */
	c->idle_us = now_us();
	c->dies_us = c->idle_us + life_us -
		life_us / 4 * (int64_t) (client->made++ % 16) / 16;
	c->state = CONN_IDLE;
	c->next = o->idle_head;
	if (o->idle_head != NULL)
		o->idle_head->prev = c;
	else
		o->idle_tail = c;
	o->idle_head = c;

	/* this also makes it ours in the eyes of libcurl */
	if (!conn_quiet(c))
	{
		conn_close(c);
		origin_failed(o, CURLE_WEIRD_SERVER_REPLY,
					  "the server closed the connection, or spoke, before it was asked");
	}
}

/*
 * Close a connection, whatever it is doing; its transfer is the caller's.
 */
static void
conn_close(Conn *c)
{
	Origin	   *o = c->origin;
	HttpClient *client = o->client;

	if (c->state == CONN_IDLE)
		idle_unlink(c);
	else if (c->state == CONN_CONNECTING)
	{
		o->nconnecting--;
		client->nconnecting--;
	}
	if (c->transfer != NULL)
	{
		c->transfer->conn = NULL;
		c->transfer = NULL;
	}

	/*
	 * Shut down first: nothing that libcurl or its TLS library still holds
	 * may leave, and old versions (7.81) close it only when they next make a
	 * connection.
	 */
	if (c->fd >= 0)
	{
		fd_register(client, c->fd, 0);
		client->fds[c->fd].conn = NULL;
		(void) shutdown(c->fd, SHUT_RDWR);
		c->fd = -1;
	}
	mask_signals(client);
	curl_multi_remove_handle(c->pool->multi, c->easy);
	curl_easy_cleanup(c->easy);
	c->easy = NULL;
	c->pool->nconns--;
	o->nconns--;
	client->nconns--;
	c->state = CONN_FREE;
	c->next = client->free_conns;
	client->free_conns = c;
}

static void
idle_unlink(Conn *c)
{
	Origin	   *o = c->origin;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		o->idle_head = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	else
		o->idle_tail = c->prev;
	c->next = c->prev = NULL;
}

/*
 * Is there nothing to read?  A connection without a request has nothing to
 * say, except for tickets of TLS, which libcurl keeps to itself.
 */
static bool
conn_quiet(Conn *c)
{
	HttpClient *client = c->origin->client;
	size_t		n = 0;

	return curl_easy_recv(c->easy, client->buf, sizeof(client->buf),
						  &n) == CURLE_AGAIN;
}

/*
 * An idle connection that may be used, off the stack.  What a record of TLS
 * brought may lie in libcurl, where the kernel does not show it.
 */
static Conn *
conn_idle(Origin *o, int64_t now)
{
	int			max_idle_s = o->client->opt.max_idle_s;
	Conn	   *c;

	while ((c = o->idle_head) != NULL)
	{
		struct pollfd p = {c->fd, POLLIN, 0};

		/* a new one may be used once, though max_idle_s is 0 */
		if (now < c->dies_us &&
			now - c->idle_us < (int64_t) (max_idle_s > 0 || c->used ?
										  max_idle_s : 1) * 1000000 &&
			((!o->https && poll(&p, 1, 0) == 0) || conn_quiet(c)))
		{
			idle_unlink(c);
			return c;
		}
		conn_close(c);
	}
	return NULL;
}

/*
 * Send a request over a connection.
 */
static void
conn_begin(Conn *c, Transfer *t)
{
	c->state = CONN_BUSY;
	c->transfer = t;
	t->conn = c;
	t->state = TRANSFER_RUNNING;
	t->new_connection = !c->used;
	c->used = true;
	(void) conn_send(c);
}

/*
 * A transfer is over, its connection becomes idle or goes.
 */
static void
conn_end(Conn *c, bool reusable)
{
	Origin	   *o = c->origin;
	HttpClient *client = o->client;
	int64_t		now = now_us();

	if (!reusable || client->opt.max_idle_s == 0 ||
		c->generation != o->generation)
	{
		conn_close(c);
		return;
	}
	c->transfer->conn = NULL;
	c->transfer = NULL;
	c->state = CONN_IDLE;
	c->idle_us = now;
	c->prev = NULL;
	c->next = o->idle_head;
	if (o->idle_head != NULL)
		o->idle_head->prev = c;
	else
		o->idle_tail = c;
	o->idle_head = c;

	/* those that a quieter time does not need, one by one */
	if (now - o->idle_tail->idle_us >=
		(int64_t) client->opt.max_idle_s * 1000000)
		conn_close(o->idle_tail);
}

/*
 * Send as much of the request as the connection takes.  False = the transfer
 * is over, or waits again.
 */
static bool
conn_send(Conn *c)
{
	Transfer   *t = c->transfer;
	HttpClient *client = t->client;

	/* nothing more, once an answer has come */
	while (t->sent < t->out_len && !ln_http1_final(&t->answer))
	{
		CURLcode	code;
		size_t		n = 0;

		/*
		 * The mark first: a volatile store stays before the call that sends
		 * the bytes.
		 */
		if (t->journal != NULL)
			*t->journal = 1;
		code = curl_easy_send(c->easy, t->out + t->sent, t->out_len - t->sent,
							  &n);
		if (code == CURLE_OK && n > 0)
		{
			t->sent += n;
			continue;
		}
		if (code == CURLE_OK || code == CURLE_AGAIN)
		{
			fd_register(client, c->fd, EPOLLIN | EPOLLOUT);
			return true;
		}

		/* an answer may lie there, which says why */
		if (!conn_read(c))
			return false;

		if (conn_restart(c))
			return false;
		snprintf(t->error, sizeof(t->error), "%s", c->error[0] != '\0' ?
				 c->error : curl_easy_strerror(code));
		t->code = code;
		conn_close(c);
		transfer_finish(t);
		return false;
	}

	fd_register(client, c->fd, EPOLLIN);
	return true;
}

/*
 * A connection has ended.  If it is one that was kept, and took less than the
 * request and said nothing, it was dead already: once more, over another one.
 */
static bool
conn_restart(Conn *c)
{
	Transfer   *t = c->transfer;

	if (t->sent == t->out_len || t->new_connection || t->answer.bytes > 0 ||
		t->restarts >= MAX_RESTARTS)
		return false;
	t->restarts++;
	t->sent = 0;
	conn_close(c);
	t->state = TRANSFER_WAITING;
	list_push_front(&t->origin->waiting, t);
	t->client->nwaiting++;
	t->client->more = true;
	return true;
}

/*
 * Read what has come.  False = the transfer is over, or waits again.
 */
static bool
conn_read(Conn *c)
{
	Transfer   *t = c->transfer;
	HttpClient *client = t->client;

	/* every answer is capped, so this comes to an end */
	for (;;)
	{
		size_t		n = 0;
		bool		surplus = false;
		CURLcode	code;

		code = curl_easy_recv(c->easy, client->buf, sizeof(client->buf), &n);
		if (code == CURLE_AGAIN)
			return true;
		if (code == CURLE_OK && n > 0)
		{
			if (transfer_take(t, client->buf, n, &surplus))
				continue;
		}
		else if (conn_restart(c))
			return false;
		else
		{
			ln_http1_end(&t->answer);
			if (code != CURLE_OK)
			{
				t->code = code;
				snprintf(t->error, sizeof(t->error), "%s",
						 c->error[0] != '\0' ? c->error :
						 curl_easy_strerror(code));
			}
			else if (t->answer.state == HTTP1_BROKEN)
				t->code = t->answer.bytes == 0 ? CURLE_GOT_NOTHING :
					CURLE_PARTIAL_FILE;
			surplus = true;
		}

		conn_end(c, !surplus && t->sent == t->out_len && t->code == CURLE_OK &&
				 ln_http1_reusable(&t->answer));
		transfer_finish(t);
		return false;
	}
}

/* ---------- transfers ---------- */

/*
 * Take over a request.  False = refused, the transfer stays free.
 */
static bool
transfer_prepare(Transfer *t, const HttpRequest *req, const char **why)
{
	bool		is_post = req->method != NULL &&
	strcmp(req->method, "POST") == 0;
	Http1Url	parts;
	size_t		head_len;
	int			i;

	if (!is_post && (req->method == NULL || strcmp(req->method, "GET") != 0))
	{
		*why = "The method is neither POST nor GET.";
		return false;
	}
	if (is_post != (req->body != NULL && req->body_len > 0))
	{
		*why = "POST needs a body, GET must not have one.";
		return false;
	}
	if (req->body_len > MAX_REQUEST_BODY)
	{
		*why = "The body is too large.";
		return false;
	}
	if (!ln_http1_url(req->url, &parts))
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
		if (!ln_http1_header_good(req->headers[i], why))
			return false;
	}

	*why = "Out of memory.";
	head_len = ln_http1_head(t->out, t->out_room, req->method, &parts,
							 req->headers, req->nheaders,
							 is_post ? (int64_t) req->body_len : -1);
	if (head_len + req->body_len > t->out_room)
	{
		if (!reserve(&t->out, &t->out_room, head_len + req->body_len))
			return false;
		head_len = ln_http1_head(t->out, t->out_room, req->method, &parts,
								 req->headers, req->nheaders,
								 is_post ? (int64_t) req->body_len : -1);
	}
	if (is_post)
		memcpy(t->out + head_len, req->body, req->body_len);
	t->origin = origin_find(t->client, &parts, req->url,
							req->ca_file != NULL ? req->ca_file : "",
							req->proxy != NULL ? req->proxy : "");
	if (t->origin == NULL)
		return false;

	t->head_len = head_len;
	t->out_len = head_len + req->body_len;
	t->sent = 0;
	t->conn = NULL;
	t->tag = req->tag;
	t->is_post = is_post;
	t->journal = is_post ? req->journal : NULL;
	t->connect_timeout_ms = req->connect_timeout_ms;
	t->total_timeout_ms = req->total_timeout_ms;

	t->restarts = 0;
	t->aborted = false;
	t->new_connection = false;
	ln_http1_begin(&t->answer);
	t->response_len = 0;
	t->truncated = false;
	t->code = CURLE_OK;
	t->error[0] = '\0';
	return true;
}

/*
 * Take what was received.  False = the answer is over; is there something
 * behind it?
 */
static bool
transfer_take(Transfer *t, const char *data, size_t len, bool *surplus)
{
	while (len > 0 && !ln_http1_ended(&t->answer))
	{
		const char *body;
		size_t		body_len;
		size_t		n = ln_http1_feed(&t->answer, data, len, &body, &body_len);

		if (body_len > 0 && !transfer_keep(t, body, body_len))
		{
			t->truncated = true;
			t->code = CURLE_WRITE_ERROR;
			snprintf(t->error, sizeof(t->error), "response too long");
			return false;
		}
		data += n;
		len -= n;
	}
	if (t->answer.state == HTTP1_BROKEN)
		t->code = CURLE_WEIRD_SERVER_REPLY;
	*surplus = len > 0;
	return !ln_http1_ended(&t->answer);
}

/*
 * Keep a piece of a body.  False = there is more than may be kept.
 */
static bool
transfer_keep(Transfer *t, const char *data, size_t len)
{
	size_t		max = t->client->opt.max_response;
	size_t		keep = len;

	if (t->response_len + keep > max)
		keep = max - t->response_len;
	if (t->response_len + keep > t->response_room)
	{
		size_t		room = t->response_room > 0 ? t->response_room :
		FIRST_RESPONSE_BYTES;
		char	   *p;

		while (room < t->response_len + keep)
			room *= 2;
		p = realloc(t->response, room);
		if (p == NULL)
			return false;
		t->response = p;
		t->response_room = room;
	}
	if (keep > 0)
		memcpy(t->response + t->response_len, data, keep);
	t->response_len += keep;
	return keep == len;
}

/*
 * A transfer that has no connection any more is over: judge it, and put it
 * among those that the caller may take.
 */
static void
transfer_finish(Transfer *t)
{
	t->verdict = transfer_verdict(t);
	if (t->error[0] == '\0' && t->answer.state != HTTP1_COMPLETE)
		snprintf(t->error, sizeof(t->error), "%s",
				 t->answer.reason != NULL ? t->answer.reason :
				 "no complete answer");
	t->elapsed_us = now_us() - t->started_us;
	t->origin = NULL;
	t->state = TRANSFER_DONE;
	list_push(&t->client->done, t);
}

/*
 * End a transfer that has no connection, or none any more.
 */
static void
transfer_fail(Transfer *t, CURLcode code, const char *error)
{
	t->code = code;
	snprintf(t->error, sizeof(t->error), "%s", error);
	transfer_finish(t);
}

/*
 * How far it got; see the top of this file.
 */
static HttpVerdict
transfer_verdict(const Transfer *t)
{
	int			status = t->answer.status;

	if (t->sent < t->out_len)
	{
		if (status >= 300 && status <= 499 && status != 408 && status != 425)
			return HTTP_STATUS;
		return HTTP_NOT_SENT;
	}
	return ln_http1_final(&t->answer) ? HTTP_STATUS : HTTP_AMBIGUOUS;
}

/*
 * Retry-After as a delay from now.
 */
static int64_t
transfer_retry_after_ms(const Transfer *t)
{
	int64_t		ms = -1;

	if (t->answer.retry_after_s >= 0)
		ms = t->answer.retry_after_s * 1000;
	if (t->answer.retry_at != INT64_MIN)
	{
		int64_t		left = (t->answer.retry_at - (int64_t) time(NULL)) * 1000;

		if (left < 0)
			left = 0;
		if (left > ms)
			ms = left;
	}
	return ms > MAX_RETRY_AFTER_MS ? MAX_RETRY_AFTER_MS : ms;
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
	explicit_bzero(t->out, t->head_len);
	t->head_len = 0;
	if (t->out_room > KEEP_BUFFER_BYTES)
	{
		free(t->out);
		t->out = NULL;
		t->out_room = 0;
	}
	if (t->response_room > KEEP_BUFFER_BYTES)
	{
		free(t->response);
		t->response = NULL;
		t->response_room = 0;
	}

	/* as a stack: under low load, few buffers are used and stay warm */
	t->state = TRANSFER_FREE;
	list_push_front(&client->idle, t);
}

/*
 * Make a buffer hold at least need bytes; its content may get lost.
 */
static bool
reserve(char **buf, size_t *room, size_t need)
{
	size_t		size = *room > 0 ? *room : 1024;
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

/* ---------- moving on ---------- */

/*
 * Serve the sockets that are ready.  False = there may be more of them.
 */
static bool
serve_sockets(HttpClient *client)
{
	int			n;
	int			i;

	n = epoll_wait(client->epfd, client->events, EVENTS_PER_TURN, 0);
	for (i = 0; i < n; i++)
	{
		int			fd = client->events[i].data.fd;
		uint32_t	ready = client->events[i].events;
		FdState    *st = &client->fds[fd];
		Conn	   *c = st->conn;
		int			bits = 0;
		int			running;

		if (c != NULL)
		{
			if (c->state == CONN_IDLE)
			{
				if (!conn_quiet(c))
					conn_close(c);
			}
			else if (((ready & ~(uint32_t) EPOLLOUT) == 0 || conn_read(c)) &&
					 (ready & EPOLLOUT) != 0)
				(void) conn_send(c);
			continue;
		}

		/*
		 * An error is found by reading or writing.  Told of the error itself,
		 * libcurl would give up without reading what has arrived.
		 */
		if (ready & (EPOLLERR | EPOLLHUP))
			ready |= EPOLLIN | EPOLLOUT;
		if (ready & st->wanted & EPOLLIN)
			bits |= CURL_CSELECT_IN;
		if (ready & st->wanted & EPOLLOUT)
			bits |= CURL_CSELECT_OUT;
		if (bits != 0 && st->pool != NULL)
		{
			mask_signals(client);
			curl_multi_socket_action(st->pool->multi, fd, bits, &running);
		}
		else if (st->wanted != st->registered)
			fd_register(client, fd, st->wanted);
	}
	return n < EVENTS_PER_TURN;
}

/*
 * Tell libcurl that its time has come.
 */
static void
serve_timers(HttpClient *client)
{
	int64_t		now = -1;
	Pool	   *pool;

	for (pool = client->pools; pool != NULL; pool = pool->next)
	{
		int			turn;

		for (turn = 0; turn < TURNS_PER_STEP && pool->deadline_us >= 0; turn++)
		{
			int			running;

			if (now < 0)
				now = now_us();
			if (now < pool->deadline_us)
				break;
			mask_signals(client);
			pool->deadline_us = -1;
			curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0,
									 &running);
			pool_timer(pool);
		}
	}
}

/*
 * Give waiting transfers connections.
 */
static void
serve_waiting(HttpClient *client)
{
	Origin	   *o;
	int64_t		now;
	int			starts = 0;

	if (client->nwaiting == 0)
		return;
	now = now_us();
	for (o = client->origins; o != NULL; o = o->next)
	{
		if (o->waiting.head != NULL)
			origin_serve(o, now, &starts);
	}
}

/*
 * End the transfers whose time is over, unless their answer is there.
 */
static void
serve_deadlines(HttpClient *client)
{
	int64_t		now = now_us();
	int64_t		earliest = -1;
	int			i;

	for (i = 0; i < client->opt.max_transfers; i++)
	{
		Transfer   *t = &client->transfers[i];
		Conn	   *c = t->conn;
		bool		waiting = t->state == TRANSFER_WAITING;
		char		error[100];

		if (!waiting && t->state != TRANSFER_RUNNING)
			continue;
		if (now < t->deadline_us)
		{
			if (earliest < 0 || t->deadline_us < earliest)
				earliest = t->deadline_us;
			continue;
		}

		if (waiting)
		{
			list_remove(&t->origin->waiting, t);
			client->nwaiting--;
		}
		else if (!conn_read(c))
		{
			/* only a read that finds nothing is silence */
			if (t->state == TRANSFER_WAITING)
				earliest = now;
			continue;
		}
		else
			conn_close(c);
		snprintf(error, sizeof(error), "timed out after %d ms %s",
				 t->total_timeout_ms,
				 waiting ? "without a connection" :
				 t->sent < t->out_len ? "before the request was sent" :
				 t->answer.bytes > 0 ? "within the answer" :
				 "without an answer");
		transfer_fail(t, CURLE_OPERATION_TIMEDOUT, error);
	}
	client->earliest_us = earliest;
	if (client->nwaiting > 0)
		client->more = true;	/* those behind them */
}

/*
 * Take from libcurl the connections that stand, or failed.
 */
static void
harvest(HttpClient *client)
{
	Pool	   *pool;

	for (pool = client->pools; pool != NULL; pool = pool->next)
	{
		CURLMsg    *msg;
		int			left;

		while ((msg = curl_multi_info_read(pool->multi, &left)) != NULL)
		{
			CURLcode	code = msg->data.result;
			char	   *private = NULL;

			if (msg->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
			if (((Conn *) private)->state == CONN_CONNECTING)
				conn_made((Conn *) private, code);
		}
	}
}

/* ---------- descriptors ---------- */

/*
 * Make the table hold this descriptor.
 */
static bool
fd_room(HttpClient *client, int fd)
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
static void
fd_register(HttpClient *client, int fd, uint32_t events)
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
	if (!fd_room(client, fd))
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
	fd_register(client, fd, st->wanted);
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
	Conn	   *c = arg;
	HttpClient *client = c->origin->client;
	int			fd;

	(void) purpose;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
				address->protocol);
	if (fd < 0)
	{
		/* anything else is about this family of addresses */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			errno == ENOMEM)
			c->no_socket = errno;
		return CURL_SOCKET_BAD;
	}
	if (!fd_room(client, fd))
	{
		close(fd);
		return CURL_SOCKET_BAD;
	}
	memset(&client->fds[fd], 0, sizeof(client->fds[fd]));
	return fd;
}

/* Close a socket; that also removes it from the epoll set. */
static int
on_close(void *arg, curl_socket_t fd)
{
	HttpClient *client = arg;

	if (fd < client->nfds)
	{
		if (client->fds[fd].conn != NULL)
			client->fds[fd].conn->fd = -1;
		memset(&client->fds[fd], 0, sizeof(client->fds[fd]));
	}
	return close(fd);
}

/* ---------- odds and ends ---------- */

/*
 * Block everything that can be waited for; what a fault raises stays, since
 * the kernel kills a process that blocks those.  Once per call of ours.
 */
static void
mask_signals(HttpClient *client)
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

static void
unmask_signals(HttpClient *client)
{
	if (!client->masked)
		return;
	client->masked = false;
	pthread_sigmask(SIG_SETMASK, &client->mask, NULL);
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
