/*-------------------------------------------------------------------------
 *
 * http.c
 *		An HTTP client for many concurrent small POSTs, over connections that
 *		libcurl makes: its interface, and the step that moves it on.
 *
 * From above to below, and none calls one above it:
 *
 * http.c			requests come in, sockets and deadlines are served,
 *					results go out
 * http_origin.c	which transfer gets which connection
 * http_conn.c		a connection: made, used once or often, closed.  How a
 *					request can be sent only once is told there.
 * http_transfer.c	what is an answer, and what it proves
 * http_pool.c		libcurl's multi handles, descriptors, signals, the clock
 * http1.c			HTTP/1.1 as bytes
 *
 * Whose silence
 *
 * The deadlines are ours.  A step first reads the sockets, and a transfer
 * whose time is over is read once more before it is given up.  So an answer
 * that came while this process stood still counts.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http/http_internal.h"

/* Limits on a request, against mistakes: LINE's largest body is 2 MB. */
#define MAX_REQUEST_HEADERS	64
#define MAX_REQUEST_BODY	(16 * 1024 * 1024)

/* How often sockets and timers are served in a step */
#define TURNS_PER_STEP		4

/*
 * When there was no descriptor for another connection, none is asked for so
 * long (us).
 */
#define NO_SOCKET_US		100000

/* HttpOptions.max_lifetime_s when it is not given */
#define LIFETIME_S			300

static bool transfer_prepare(Transfer *t, const HttpRequest *req,
							 const char **why);
static bool reserve(char **buf, size_t *capacity, size_t need);
static bool serve_sockets(HttpClient *client);
static void serve_timers(HttpClient *client);
static void serve_waiting(HttpClient *client);
static void serve_deadlines(HttpClient *client);
static void harvest(HttpClient *client);

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
		ln_mask_signals(client);

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
				 ln_pool_get(client) == NULL ||
				 !ln_fd_reserve(client, client->epfd))
			why = "Out of memory.";
		else
		{
			for (i = 0; i < client->opt.max_transfers; i++)
			{
				client->transfers[i].client = client;
				ln_list_push(&client->idle, &client->transfers[i]);
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
		ln_unmask_signals(client);
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

	ln_mask_signals(client);
	for (i = 0; client->conns != NULL && i < client->opt.max_connections; i++)
	{
		if (client->conns[i].state != CONN_FREE)
			ln_conn_close(&client->conns[i]);
	}
	while (client->pools != NULL)
	{
		Pool	   *pool = client->pools;

		client->pools = pool->next;
		ln_pool_free(pool);
	}
	ln_unmask_signals(client);

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
		ln_origin_free(o);
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
	left = earliest - ln_now_us();
	return left <= 0 ? 0 : (long) ((left + 999) / 1000);
}

bool
ln_http_add(HttpClient *client, const HttpRequest *req, char *err,
			size_t errlen)
{
	Transfer   *t;
	const char *why = NULL;

	if (client->taken != NULL)
		ln_transfer_release(client->taken);

	t = client->idle.head;
	if (t == NULL)
		why = "All transfers are in use.";
	else if (transfer_prepare(t, req, &why))
	{
		(void) ln_list_pop(&client->idle);
		t->started_us = ln_now_us();
		t->deadline_us = t->started_us + (int64_t) t->total_timeout_ms * 1000;
		if (client->earliest_us < 0 || t->deadline_us < client->earliest_us)
			client->earliest_us = t->deadline_us;
		t->state = TRANSFER_WAITING;
		ln_list_push(&t->origin->waiting, t);
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
		ln_transfer_release(client->taken);
	client->more = false;
	if (client->no_socket_us != 0 &&
		ln_now_us() - client->no_socket_us >= NO_SOCKET_US)
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

	if (all && client->earliest_us >= 0 && ln_now_us() >= client->earliest_us)
		serve_deadlines(client);
	ln_pool_sweep(client);
	ln_unmask_signals(client);
}

bool
ln_http_next(HttpClient *client, HttpResult *res)
{
	Transfer   *t;

	if (client->taken != NULL)
		ln_transfer_release(client->taken);

	t = ln_list_pop(&client->done);
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
	res->retry_after_ms = ln_transfer_retry_after_ms(t);
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
		ln_transfer_release(client->taken);

	for (i = 0; i < client->opt.max_transfers; i++)
	{
		Transfer   *t = &client->transfers[i];

		/* what lies there already was not aborted */
		if (t->state == TRANSFER_RUNNING && ln_conn_read(t->conn))
			ln_conn_close(t->conn);
		else if (t->state == TRANSFER_WAITING)
		{
			ln_list_remove(&t->origin->waiting, t);
			client->nwaiting--;
		}
		else
			continue;
		t->aborted = true;
		ln_transfer_fail(t, CURLE_ABORTED_BY_CALLBACK, "aborted");
	}
	for (i = 0; i < client->opt.max_connections; i++)
	{
		if (client->conns[i].state == CONN_CONNECTING)
			ln_conn_close(&client->conns[i]);
	}
	ln_pool_sweep(client);
	ln_unmask_signals(client);
}

void
ln_http_forget_connections(HttpClient *client)
{
	Origin	   *o;

	if (client->taken != NULL)
		ln_transfer_release(client->taken);

	for (o = client->origins; o != NULL; o = o->next)
		ln_origin_forget(o);
	ln_pool_sweep(client);
	ln_unmask_signals(client);
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

/* ---------- taking over a request ---------- */

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
	head_len = ln_http1_head(t->out, t->out_capacity, req->method, &parts,
							 req->headers, req->nheaders,
							 is_post ? (int64_t) req->body_len : -1);
	if (head_len + req->body_len > t->out_capacity)
	{
		if (!reserve(&t->out, &t->out_capacity, head_len + req->body_len))
			return false;
		head_len = ln_http1_head(t->out, t->out_capacity, req->method, &parts,
								 req->headers, req->nheaders,
								 is_post ? (int64_t) req->body_len : -1);
	}
	if (is_post)
		memcpy(t->out + head_len, req->body, req->body_len);
	t->origin = ln_origin_find(t->client, &parts, req->url,
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
	t->watch = t->journal != NULL ? req->watch : NULL;
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
 * Make a buffer hold at least need bytes; its content may get lost.
 */
static bool
reserve(char **buf, size_t *capacity, size_t need)
{
	size_t		size = *capacity > 0 ? *capacity : 1024;
	char	   *p;

	if (need <= *capacity)
		return true;
	while (size < need)
		size *= 2;
	p = malloc(size);
	if (p == NULL)
		return false;
	free(*buf);
	*buf = p;
	*capacity = size;
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
				if (!ln_conn_quiet(c))
					ln_conn_close(c);
			}
			else if (((ready & ~(uint32_t) EPOLLOUT) == 0 ||
					  ln_conn_read(c)) && (ready & EPOLLOUT) != 0)
				(void) ln_conn_send(c);
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
			ln_mask_signals(client);
			curl_multi_socket_action(st->pool->multi, fd, bits, &running);
		}
		else if (st->wanted != st->registered)
			ln_fd_register(client, fd, st->wanted);
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
				now = ln_now_us();
			if (now < pool->deadline_us)
				break;
			ln_mask_signals(client);
			pool->deadline_us = -1;
			curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0,
									 &running);
			ln_pool_timer(pool);
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
	now = ln_now_us();
	for (o = client->origins; o != NULL; o = o->next)
	{
		if (o->waiting.head != NULL)
			ln_origin_serve(o, now, &starts);
	}
}

/*
 * End the transfers whose time is over, unless their answer is there.
 */
static void
serve_deadlines(HttpClient *client)
{
	int64_t		now = ln_now_us();
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
			ln_list_remove(&t->origin->waiting, t);
			client->nwaiting--;
		}
		else if (!ln_conn_read(c))
		{
			/* only a read that finds nothing is silence */
			if (t->state == TRANSFER_WAITING)
				earliest = now;
			continue;
		}
		else
			ln_conn_close(c);
		snprintf(error, sizeof(error), "timed out after %d ms %s",
				 t->total_timeout_ms,
				 waiting ? "without a connection" :
				 t->sent < t->out_len ? "before the request was sent" :
				 t->answer.bytes > 0 ? "within the answer" :
				 "without an answer");
		ln_transfer_fail(t, CURLE_OPERATION_TIMEDOUT, error);
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
				ln_origin_made((Conn *) private, code);
		}
	}
}
