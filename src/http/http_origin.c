/*-------------------------------------------------------------------------
 *
 * http_origin.c
 *		Which connection a request of the HTTP client goes over.
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
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "http/http_internal.h"

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

/* Origins that are remembered though nothing goes there */
#define KEEP_ORIGINS		64

/* How often a CA file is looked at (us) */
#define CA_CHECK_US			1000000

static void origin_check_ca(Origin *o, int64_t now);
static bool origin_may_connect(Origin *o);
static int	origin_max_connecting(const Origin *o);
static bool close_idle(HttpClient *client);
static void conn_no_socket(Conn *c);
static void origin_failed(Origin *o, CURLcode code, const char *error);

/*
 * The origin of a request; made when it is not known yet.  NULL = no memory.
 */
Origin *
ln_origin_find(HttpClient *client, const Http1Url *parts, const char *url,
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
			ln_origin_free(o);
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
		ln_origin_free(o);
		return NULL;
	}
	o->next = client->origins;
	client->origins = o;
	client->last_origin = o;
	client->norigins++;
	return o;
}

void
ln_origin_free(Origin *o)
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
void
ln_origin_forget(Origin *o)
{
	HttpClient *client = o->client;
	Pool	   *pool;
	int			i;

	o->generation++;
	while (o->idle_head != NULL)
		ln_conn_close(o->idle_head);
	for (i = 0; o->nconnecting > 0 && i < client->opt.max_connections; i++)
	{
		if (client->conns[i].state == CONN_CONNECTING &&
			client->conns[i].origin == o)
			ln_conn_close(&client->conns[i]);
	}
	for (pool = client->pools; pool != NULL; pool = pool->next)
		pool->stale = true;
}

/*
 * Has the file with the authorities been replaced?  By the time of its inode:
 * the one of its content is what whoever writes it likes, as cp -p does, and
 * tells nothing of its mode.
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
		stamp.changed = st.st_ctim;
	}
	if (o->ca_checked_us != 0 &&
		(stamp.dev != o->ca_stamp.dev || stamp.ino != o->ca_stamp.ino ||
		 stamp.size != o->ca_stamp.size ||
		 stamp.changed.tv_sec != o->ca_stamp.changed.tv_sec ||
		 stamp.changed.tv_nsec != o->ca_stamp.changed.tv_nsec))
		ln_origin_forget(o);
	o->ca_stamp = stamp;
	o->ca_checked_us = now;
}

/*
 * Give its waiting transfers connections.
 */
void
ln_origin_serve(Origin *o, int64_t now, int *starts)
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

		c = ln_conn_idle(o, now);
		if (c != NULL)
		{
			(*starts)++;
			(void) ln_list_pop(&o->waiting);
			o->client->nwaiting--;
			ln_conn_begin(c, t);
			continue;
		}

		if (o->nconnecting >= o->waiting.n ||
			o->nconnecting >= origin_max_connecting(o) ||
			!origin_may_connect(o))
			return;
		if (!ln_conn_open(o, t->connect_timeout_ms))
			origin_failed(o, CURLE_FAILED_INIT,
						  "libcurl could not begin a connection");
	}
}

/*
 * May another connection be opened?  The idle one of another origin makes
 * room.
 */
static bool
origin_may_connect(Origin *o)
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
			ln_conn_close(o->idle_tail);
			return true;
		}
	}
	return false;
}

/*
 * libcurl is done with making a connection.
 */
void
ln_origin_made(Conn *c, CURLcode code)
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
		ln_conn_close(c);
		origin_failed(o, code, error);
		return;
	}

	/*
	 * Another connection that began at this moment may have led libcurl to
	 * close this one, because of a ticket for instance: once more.
	 */
	curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD || !ln_fd_reserve(client, fd))
	{
		ln_conn_close(c);
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
	ln_fd_register(client, fd, EPOLLIN);

	/* not all at the same time */
	c->idle_us = ln_now_us();
	c->dies_us = c->idle_us + life_us -
		life_us / 4 * (int64_t) (client->made++ % 16) / 16;
	ln_conn_push_idle(c);

	/* this also makes it ours in the eyes of libcurl */
	if (!ln_conn_quiet(c))
	{
		ln_conn_close(c);
		origin_failed(o, CURLE_WEIRD_SERVER_REPLY,
					  "the server closed the connection, or spoke, before it was asked");
	}
}

/*
 * A connection did not come about because this process may open no more
 * descriptors: no fault of the server.  An idle one makes room; else what
 * waits goes over the others of its origin, and fails if there is none.
 */
static void
conn_no_socket(Conn *c)
{
	Origin	   *o = c->origin;
	HttpClient *client = o->client;
	char		error[CURL_ERROR_SIZE];

	snprintf(error, sizeof(error), "could not open a socket: %s",
			 strerror(c->no_socket));
	ln_conn_close(c);
	if (close_idle(client))
		return;
	client->no_socket_us = ln_now_us();
	if (o->nconns == 0)
		origin_failed(o, CURLE_COULDNT_CONNECT, error);
}

/*
 * A connection did not come about.  It was made for one transfer, so one
 * fails: the one that has waited for the longest time.  Unless there is still
 * one under way for each: then its transfer has been served otherwise.
 */
static void
origin_failed(Origin *o, CURLcode code, const char *error)
{
	int64_t		now = ln_now_us();
	Transfer   *t;

	if (o->waiting.n <= o->nconnecting)
		return;
	while ((t = ln_list_pop(&o->waiting)) != NULL)
	{
		o->client->nwaiting--;
		ln_transfer_fail(t, code, error);

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
