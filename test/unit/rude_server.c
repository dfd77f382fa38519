/*-------------------------------------------------------------------------
 *
 * rude_server.c
 *		A server that follows a script, byte by byte.
 *
 * Blocking I/O with a thread per connection: the scripts read like what they
 * do, and nothing of libcurl or of our client is used, so it is a judge of its
 * own.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "rude_server.h"

typedef struct Conn
{
	RudeServer *server;
	int			fd;
	SSL		   *ssl;
	char		buf[65536];
	size_t		len;			/* bytes in buf that are not consumed */
	int			epoch;			/* of the script in force: what a straggler of
								 * an earlier test reads is not counted */
} Conn;

static void
die(const char *what)
{
	perror(what);
	exit(2);
}

static void
nap(int ms)
{
	struct timespec ts = {ms / 1000, (ms % 1000) * 1000000L};

	nanosleep(&ts, NULL);
}

/* Wait until fd is ready, or the server stops (false). */
static bool
ready(Conn *c, short events)
{
	while (!c->server->stop)
	{
		struct pollfd p = {c->fd, events, 0};

		if (poll(&p, 1, 50) > 0)
			return true;
	}
	return false;
}

static ssize_t
conn_read(Conn *c, char *buf, size_t room)
{
	if (c->ssl != NULL)
	{
		for (;;)
		{
			int			n;

			if (SSL_pending(c->ssl) == 0 && !ready(c, POLLIN))
				return -1;
			n = SSL_read(c->ssl, buf, (int) room);
			if (n > 0)
				return n;
			if (SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
				return -1;
		}
	}
	if (!ready(c, POLLIN))
		return -1;
	return recv(c->fd, buf, room, 0);
}

static bool
conn_write(Conn *c, const char *buf, size_t len)
{
	while (len > 0)
	{
		ssize_t		n;

		if (!ready(c, POLLOUT))
			return false;
		if (c->ssl != NULL)
			n = SSL_write(c->ssl, buf, (int) len);
		else
			n = send(c->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && c->ssl == NULL && errno == EAGAIN)
			continue;
		if (n <= 0)
			return false;
		buf += n;
		len -= (size_t) n;
	}
	return true;
}

/* Fill the buffer by one read; false = no more. */
static bool
fill(Conn *c)
{
	ssize_t		n;

	if (c->len == sizeof(c->buf) - 1)
		return false;
	n = conn_read(c, c->buf + c->len, sizeof(c->buf) - 1 - c->len);
	if (n <= 0)
		return false;
	c->len += (size_t) n;
	c->buf[c->len] = '\0';
	return true;
}

static void
consume(Conn *c, size_t n)
{
	memmove(c->buf, c->buf + n, c->len - n);
	c->len -= n;
	c->buf[c->len] = '\0';
}

/*
 * Read a head; remember it.  content_length is what it announces, or 0.
 */
static bool
read_head(Conn *c, size_t *content_length)
{
	RudeServer *s = c->server;
	char	   *end;
	char	   *p;
	size_t		headlen;

	while ((end = strstr(c->buf, "\r\n\r\n")) == NULL)
	{
		if (!fill(c))
			return false;
	}
	headlen = (size_t) (end - c->buf) + 4;

	*content_length = 0;
	for (p = c->buf; p < end; p = strstr(p, "\r\n") + 2)
	{
		if (strncasecmp(p, "content-length:", 15) == 0)
			*content_length = (size_t) atol(p + 15);
	}

	pthread_mutex_lock(&s->lock);
	if (c->epoch == s->epoch)
	{
		s->heads++;
		snprintf(s->last_head, sizeof(s->last_head), "%.*s", (int) headlen,
				 c->buf);
	}
	pthread_mutex_unlock(&s->lock);
	consume(c, headlen);
	return true;
}

/* Read a body of the announced length, and count it. */
static bool
read_body(Conn *c, size_t content_length)
{
	RudeServer *s = c->server;
	size_t		left = content_length;
	char		start[sizeof(s->last_body)];
	size_t		kept = 0;
	bool		marked = false;

	while (left > 0)
	{
		size_t		n;

		if (c->len == 0 && !fill(c))
			return false;
		n = c->len < left ? c->len : left;
		if (kept < sizeof(start) - 1)
		{
			size_t		k = n < sizeof(start) - 1 - kept ? n :
			sizeof(start) - 1 - kept;

			memcpy(start + kept, c->buf, k);
			kept += k;
		}
		consume(c, n);
		left -= n;
		pthread_mutex_lock(&s->lock);
		if (c->epoch == s->epoch)
			s->body_bytes += n;
		pthread_mutex_unlock(&s->lock);
	}
	start[kept] = '\0';
	marked = strstr(start, "MARK") != NULL;

	pthread_mutex_lock(&s->lock);
	if (c->epoch == s->epoch)
	{
		s->complete++;
		if (marked)
			s->marked++;
		memcpy(s->last_body, start, kept + 1);
	}
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* Relay between a client and the host it named in CONNECT. */
static void
tunnel(Conn *c)
{
	RudeServer *s = c->server;
	struct sockaddr_in addr;
	char	   *colon;
	int			fd;
	char		buf[16384];

	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	pthread_mutex_lock(&s->lock);
	colon = strchr(s->last_head, ':');
	addr.sin_port = htons((uint16_t) (colon ? atoi(colon + 1) : 0));
	pthread_mutex_unlock(&s->lock);

	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *) &addr, sizeof(addr)) == 0 &&
		conn_write(c, "HTTP/1.1 200 Connection established\r\n\r\n", 39))
	{
		while (!s->stop)
		{
			struct pollfd p[2] = {{c->fd, POLLIN, 0}, {fd, POLLIN, 0}};
			ssize_t		n;

			if (poll(p, 2, 50) <= 0)
				continue;
			if (p[0].revents)
			{
				n = conn_read(c, buf, sizeof(buf));
				if (n <= 0 || send(fd, buf, (size_t) n, MSG_NOSIGNAL) != n)
					break;
			}
			if (p[1].revents)
			{
				n = recv(fd, buf, sizeof(buf), 0);
				if (n <= 0 || !conn_write(c, buf, (size_t) n))
					break;
			}
		}
	}
	close(fd);
}

static void
unlisten(RudeServer *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->listen_fd >= 0)
	{
		shutdown(s->listen_fd, SHUT_RDWR);
		close(s->listen_fd);
		s->listen_fd = -1;
	}
	pthread_mutex_unlock(&s->lock);
}

/* The next script of the sequence. */
static const Step *
next_script(Conn *c)
{
	RudeServer *s = c->server;
	const Step *script;

	pthread_mutex_lock(&s->lock);
	script = s->sequence[s->position];
	if (s->position < s->nsequence - 1)
		s->position++;
	c->epoch = s->epoch;
	pthread_mutex_unlock(&s->lock);
	return script;
}

/*
 * Serve one connection.  Which script a request gets is decided when its first
 * byte comes, unless the script begins without reading.
 */
static void *
serve(void *arg)
{
	Conn	   *c = arg;
	RudeServer *s = c->server;
	const Step *step = NULL;
	size_t		content_length = 0;
	bool		have_head = false;
	int			one = 1;
	int			i;

	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (s->tls != NULL)
	{
		c->ssl = SSL_new(s->tls);
		SSL_set_fd(c->ssl, c->fd);
		if (!ready(c, POLLIN) || SSL_accept(c->ssl) != 1)
			goto done;
	}

	for (;;)
	{
		if (step == NULL)
		{
			pthread_mutex_lock(&s->lock);
			step = s->sequence[s->position];
			pthread_mutex_unlock(&s->lock);
			if ((step->kind == STEP_READ_HEAD ||
				 step->kind == STEP_READ_ALL) &&
				c->len == 0 && !fill(c))
				break;
			step = next_script(c);
			have_head = false;
		}
		switch (step->kind)
		{
			case STEP_END:
				goto done;
			case STEP_READ_HEAD:
				if (!read_head(c, &content_length))
					goto done;
				have_head = true;
				break;
			case STEP_READ_ALL:
				if ((!have_head && !read_head(c, &content_length)) ||
					!read_body(c, content_length))
					goto done;
				break;
			case STEP_SEND:
				if (!conn_write(c, step->bytes, step->len))
					goto done;
				break;
			case STEP_DRIP:
				for (i = 0; i < (int) step->len; i++)
				{
					if (s->stop || !conn_write(c, step->bytes + i, 1))
						goto done;
					nap(step->number);
				}
				break;
			case STEP_REPEAT:
				for (i = 0; step->number < 0 || i < step->number; i++)
				{
					if (s->stop || !conn_write(c, step->bytes, step->len))
						goto done;
				}
				break;
			case STEP_SLEEP:
				nap(step->number);
				break;
			case STEP_RESET:
				{
					struct linger l = {1, 0};

					setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
					goto done;
				}
			case STEP_KEEP:
				step = NULL;
				continue;
			case STEP_STALL:
				while (fill(c))
					c->len = 0;
				goto done;
			case STEP_UNLISTEN:
				unlisten(s);
				break;
			case STEP_TUNNEL:
				tunnel(c);
				goto done;
			case STEP_TICKET:
				if (c->ssl == NULL || SSL_new_session_ticket(c->ssl) != 1 ||
					SSL_do_handshake(c->ssl) != 1)
					goto done;
				break;
			case STEP_WAIT:
				while (!s->stop && !s->resumed)
					nap(1);
				break;
		}
		step++;
	}

done:
	if (c->ssl != NULL)
		SSL_free(c->ssl);
	close(c->fd);
	free(c);
	pthread_mutex_lock(&s->lock);
	s->open--;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void *
accept_loop(void *arg)
{
	RudeServer *s = arg;

	while (!s->stop)
	{
		int			fd;
		Conn	   *c;
		struct pollfd p;

		pthread_mutex_lock(&s->lock);
		p.fd = s->listen_fd;
		pthread_mutex_unlock(&s->lock);
		p.events = POLLIN;
		if (p.fd < 0)
			break;
		if (poll(&p, 1, 20) <= 0)
			continue;
		fd = accept(p.fd, NULL, NULL);
		if (fd < 0)
			continue;

		c = calloc(1, sizeof(*c));
		c->server = s;
		c->fd = fd;
		pthread_mutex_lock(&s->lock);
		s->connections++;
		s->open++;
		if (s->nthreads == MAX_CONNECTIONS)
			die("too many connections");
		pthread_create(&s->threads[s->nthreads++], NULL, serve, c);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

/* Remember what ALPN offers; take nothing of it. */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
		const unsigned char *in, unsigned int inlen, void *arg)
{
	RudeServer *s = arg;
	size_t		len = 0;
	unsigned int i;

	(void) ssl;
	(void) out;
	(void) outlen;
	pthread_mutex_lock(&s->lock);
	for (i = 0; i < inlen && i + in[i] < inlen; i += in[i] + 1u)
		len += (size_t) snprintf(s->alpn + len, sizeof(s->alpn) - len,
								 "%s%.*s", len > 0 ? "," : "", (int) in[i],
								 (const char *) in + i + 1);
	pthread_mutex_unlock(&s->lock);
	return SSL_TLSEXT_ERR_NOACK;
}

void
rude_start(RudeServer *s, SSL_CTX *tls)
{
	rude_start_at(s, tls, "127.0.0.1", 0, RECEIVE_BUFFER);
}

void
rude_start_at(RudeServer *s, SSL_CTX *tls, const char *address, int port,
			  int receive_buffer)
{
	struct sockaddr_in addr;
	socklen_t	len = sizeof(addr);
	int			one = 1;

	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	s->tls = tls;
	s->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = inet_addr(address);
	addr.sin_port = htons((uint16_t) port);
	setsockopt(s->listen_fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
			   sizeof(receive_buffer));
	if (tls != NULL)
		SSL_CTX_set_alpn_select_cb(tls, on_alpn, s);
	if (bind(s->listen_fd, (struct sockaddr *) &addr, sizeof(addr)) != 0 ||
		listen(s->listen_fd, 128) != 0 ||
		getsockname(s->listen_fd, (struct sockaddr *) &addr, &len) != 0)
		die("listen");
	s->port = ntohs(addr.sin_port);
	pthread_create(&s->acceptor, NULL, accept_loop, s);
}

void
rude_stop(RudeServer *s)
{
	int			i;

	s->stop = true;
	pthread_join(s->acceptor, NULL);
	for (i = 0; i < s->nthreads; i++)
		pthread_join(s->threads[i], NULL);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	pthread_mutex_destroy(&s->lock);
}

void
rude_script(RudeServer *s, const Step *script,...)
{
	va_list		args;

	pthread_mutex_lock(&s->lock);
	s->epoch++;
	s->nsequence = 0;
	s->position = 0;
	va_start(args, script);
	while (script != NULL && s->nsequence < MAX_SEQUENCE)
	{
		s->sequence[s->nsequence++] = script;
		script = va_arg(args, const Step *);
	}
	va_end(args);
	s->resumed = false;
	s->alpn[0] = '\0';
	s->connections = 0;
	s->heads = 0;
	s->complete = 0;
	s->marked = 0;
	s->body_bytes = 0;
	s->last_head[0] = '\0';
	s->last_body[0] = '\0';
	pthread_mutex_unlock(&s->lock);
}

void
rude_resume(RudeServer *s)
{
	pthread_mutex_lock(&s->lock);
	s->resumed = true;
	pthread_mutex_unlock(&s->lock);
}

bool
rude_quiet(RudeServer *s)
{
	struct sockaddr_in addr;
	int			fd = socket(AF_INET, SOCK_STREAM, 0);
	char		c;
	int			i;
	int			n = 1;

	/* a connection of our own: those before it have been accepted, too */
	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = htons((uint16_t) s->port);
	if (connect(fd, (struct sockaddr *) &addr, sizeof(addr)) == 0 &&
		shutdown(fd, SHUT_WR) == 0)
	{
		while (recv(fd, &c, 1, 0) > 0)
			;
	}
	close(fd);

	for (i = 0; i < 5000 && n > 0; i++)
	{
		pthread_mutex_lock(&s->lock);
		n = s->open;
		pthread_mutex_unlock(&s->lock);
		if (n > 0)
			nap(1);
	}
	return n == 0;
}

int
rude_marked(RudeServer *s)
{
	int			n;

	pthread_mutex_lock(&s->lock);
	n = s->marked;
	pthread_mutex_unlock(&s->lock);
	return n;
}

int
rude_connections(RudeServer *s)
{
	int			n;

	pthread_mutex_lock(&s->lock);
	n = s->connections;
	pthread_mutex_unlock(&s->lock);
	return n;
}

int
rude_heads(RudeServer *s)
{
	int			n;

	pthread_mutex_lock(&s->lock);
	n = s->heads;
	pthread_mutex_unlock(&s->lock);
	return n;
}

SSL_CTX    *
rude_tls(const char *name, long from, long to, const char *path)
{
	EVP_PKEY   *key = EVP_EC_gen("P-256");
	X509	   *cert = X509_new();
	X509_NAME  *subject;
	X509_EXTENSION *ext;
	SSL_CTX    *ctx = SSL_CTX_new(TLS_server_method());
	char		san[200];
	FILE	   *f;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), (long) time(NULL) + from);
	X509_gmtime_adj(X509_getm_notBefore(cert), from);
	X509_gmtime_adj(X509_getm_notAfter(cert), to);
	X509_set_pubkey(cert, key);
	subject = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
							   (const unsigned char *) name, -1, -1, 0);
	X509_set_issuer_name(cert, subject);
	snprintf(san, sizeof(san), "%s:%s",
			 name[0] >= '0' && name[0] <= '9' ? "IP" : "DNS", name);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE");
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	if (X509_sign(cert, key, EVP_sha256()) == 0 ||
		SSL_CTX_use_certificate(ctx, cert) != 1 ||
		SSL_CTX_use_PrivateKey(ctx, key) != 1)
		die("certificate");

	f = fopen(path, "w");
	if (f == NULL || PEM_write_X509(f, cert) != 1 || fclose(f) != 0)
		die(path);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}
