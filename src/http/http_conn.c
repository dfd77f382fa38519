/*-------------------------------------------------------------------------
 *
 * http_conn.c
 *		A connection of the HTTP client: libcurl makes it, we send and read.
 *
 * How a request can be sent only once
 *
 * libcurl is asked for connections, never for requests (CURLOPT_CONNECT_ONLY):
 * names, TCP, the tunnel of a proxy, TLS and its verification are its work.
 * Head and body are bytes of ours, in one buffer, and leave by
 * curl_easy_send(), usually in one call.  Nothing but ln_conn_send() sends
 * them, so nothing repeats them.
 *
 * The caller's journal is set immediately before the first of these calls.
 * As long as fewer bytes were accepted than there are, no server has the whole
 * request, and a message without its end is none: Content-Length says so.
 * Under TLS, what was encrypted but not accepted may lie in libcurl, and could
 * leave when it closes the connection; so a socket is always shut down before
 * libcurl closes it.
 *
 * libcurl closes, whenever it makes a connection, others that it thinks idle
 * and that something arrived on.  Ours are not idle in its eyes once
 * curl_easy_recv() was called, so that is done at once.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http_internal.h"

/* How long a resolved address is used, in seconds: LINE moves by DNS. */
#define DNS_CACHE_S			60L

static bool conn_options(Conn *c, int connect_timeout_ms);
static void idle_unlink(Conn *c);
static void conn_end(Conn *c, bool reusable);
static bool conn_restart(Conn *c);
static curl_socket_t on_open(void *arg, curlsocktype purpose,
							 struct curl_sockaddr *address);
static int	on_close(void *arg, curl_socket_t fd);

/*
 * Begin to make a connection.  False = no memory.
 */
bool
ln_conn_open(Origin *o, int connect_timeout_ms)
{
	HttpClient *client = o->client;
	Pool	   *pool = ln_pool_get(client);
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
	ln_mask_signals(client);
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
 * Close a connection, whatever it is doing; its transfer is the caller's.
 */
void
ln_conn_close(Conn *c)
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
		ln_fd_register(client, c->fd, 0);
		client->fds[c->fd].conn = NULL;
		(void) shutdown(c->fd, SHUT_RDWR);
		c->fd = -1;
	}
	ln_mask_signals(client);
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

/*
 * Put a connection that waits for its next request on the stack of its origin.
 */
void
ln_conn_push_idle(Conn *c)
{
	Origin	   *o = c->origin;

	c->state = CONN_IDLE;
	c->prev = NULL;
	c->next = o->idle_head;
	if (o->idle_head != NULL)
		o->idle_head->prev = c;
	else
		o->idle_tail = c;
	o->idle_head = c;
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
bool
ln_conn_quiet(Conn *c)
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
Conn *
ln_conn_idle(Origin *o, int64_t now)
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
			((!o->https && poll(&p, 1, 0) == 0) || ln_conn_quiet(c)))
		{
			idle_unlink(c);
			return c;
		}
		ln_conn_close(c);
	}
	return NULL;
}

/*
 * Send a request over a connection.
 */
void
ln_conn_begin(Conn *c, Transfer *t)
{
	c->state = CONN_BUSY;
	c->transfer = t;
	t->conn = c;
	t->state = TRANSFER_RUNNING;
	t->new_connection = !c->used;
	c->used = true;
	(void) ln_conn_send(c);
}

/*
 * A transfer is over, its connection becomes idle or goes.
 */
static void
conn_end(Conn *c, bool reusable)
{
	Origin	   *o = c->origin;
	HttpClient *client = o->client;
	int64_t		now = ln_now_us();

	if (!reusable || client->opt.max_idle_s == 0 ||
		c->generation != o->generation)
	{
		ln_conn_close(c);
		return;
	}
	c->transfer->conn = NULL;
	c->transfer = NULL;
	c->idle_us = now;
	ln_conn_push_idle(c);

	/* those that a quieter time does not need, one by one */
	if (now - o->idle_tail->idle_us >=
		(int64_t) client->opt.max_idle_s * 1000000)
		ln_conn_close(o->idle_tail);
}

/*
 * Send as much of the request as the connection takes.  False = the transfer
 * is over, or waits again.
 */
bool
ln_conn_send(Conn *c)
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
		if (t->watch != NULL)
			t->watch(t->tag, t->sent, t->out_len);
		code = curl_easy_send(c->easy, t->out + t->sent, t->out_len - t->sent,
							  &n);
		if (code == CURLE_OK && n > 0)
		{
			t->sent += n;
			if (t->watch != NULL)
				t->watch(t->tag, t->sent, t->out_len);
			continue;
		}
		if (code == CURLE_OK || code == CURLE_AGAIN)
		{
			ln_fd_register(client, c->fd, EPOLLIN | EPOLLOUT);
			return true;
		}

		/* an answer may lie there, which says why */
		if (!ln_conn_read(c))
			return false;

		if (conn_restart(c))
			return false;
		snprintf(t->error, sizeof(t->error), "%s", c->error[0] != '\0' ?
				 c->error : curl_easy_strerror(code));
		t->code = code;
		ln_conn_close(c);
		ln_transfer_finish(t);
		return false;
	}

	ln_fd_register(client, c->fd, EPOLLIN);
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
	ln_conn_close(c);
	t->state = TRANSFER_WAITING;
	ln_list_push_front(&t->origin->waiting, t);
	t->client->nwaiting++;
	t->client->more = true;
	return true;
}

/*
 * Read what has come.  False = the transfer is over, or waits again.
 */
bool
ln_conn_read(Conn *c)
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
			if (ln_transfer_take(t, client->buf, n, &surplus))
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
		ln_transfer_finish(t);
		return false;
	}
}

/* ---------- libcurl's callbacks: they never raise, nor palloc ---------- */

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
	if (!ln_fd_reserve(client, fd))
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
