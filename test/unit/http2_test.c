/*-------------------------------------------------------------------------
 *
 * http2_test.c
 *		Proves for HTTP/2 what http_test.c proves for HTTP/1.1: a request is
 *		received once at most, and "not sent" means that nothing was received.
 *
 * The server speaks just enough HTTP/2 over TLS: it reads frames without
 * decoding header blocks, counts complete requests whose body has the mark, and
 * does to each stream or connection what the script says.  HTTP/2 has its own
 * ways to say "send it again" (GOAWAY, REFUSED_STREAM), and libcurl follows
 * them, so this is where a second copy could come from.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"
#include "rude_server.h"
#include "tap.h"

/* What happens to a request once it was read completely. */
typedef enum Deed
{
	ANSWER,						/* 200 and {} */
	ANSWER_422,
	ANSWER_AFTER_103,
	ONLY_103,					/* 103, then the connection closes */
	HEAD_THEN_RESET,			/* 422 without end of stream, RST_STREAM */
	HEAD_THEN_CLOSE,			/* 200 without end of stream, close */
	REFUSE_STREAM,				/* RST_STREAM REFUSED_STREAM */
	RESET_INTERNAL,				/* RST_STREAM INTERNAL_ERROR */
	RESET_CANCEL,
	RESET_NO_ERROR,
	GOAWAY_BEFORE,				/* GOAWAY that excludes this stream, close */
	GOAWAY_BEFORE_OPEN,			/* the same, connection stays open */
	GOAWAY_INCLUDED,			/* GOAWAY that includes it, close */
	GOAWAY_ANSWER,				/* GOAWAY that includes it, then 200 */
	GOAWAY_11,					/* GOAWAY HTTP_1_1_REQUIRED */
	RESET_11,					/* RST_STREAM HTTP_1_1_REQUIRED */
	CLOSE,
	RESET_TCP,
	GARBAGE,
	SILENCE,
	PING_FLOOD,
	ANSWER_AT_HEAD,				/* 413 as soon as the head is there */
	REFUSE_AT_HEAD,				/* REFUSED_STREAM as soon as the head is there */
	GOAWAY_AT_HEAD,				/* GOAWAY that excludes it, at the head */
	CLOSE_AT_HEAD,
	CLOSE_AT_START,				/* before any request */
	GOAWAY_AT_START
} Deed;

#define FRAME_DATA			0
#define FRAME_HEADERS		1
#define FRAME_RST			3
#define FRAME_SETTINGS		4
#define FRAME_PING			6
#define FRAME_GOAWAY		7

typedef struct Server
{
	pthread_mutex_t lock;
	int			fd;
	int			port;
	SSL_CTX    *tls;
	pthread_t	acceptor;
	pthread_t	threads[2000];
	int			nthreads;
	volatile bool stop;
	Deed		deeds[2];		/* of the first request, of all others */
	int			requests;		/* complete ones, since deeds were set */
	int			heads;
	int			marked;
	int			connections;
	int			epoch;
} Server;

typedef struct Link
{
	Server	   *server;
	int			fd;
	SSL		   *ssl;
	int			epoch;
} Link;

static Server server;
static HttpClient *client;
static volatile uint8_t journal;
static HttpResult res;
static int	broken_promises = 0;
static int	tries = 0;

/* ---------- the server ---------- */

static bool
read_all(Link *l, void *buf, size_t len)
{
	char	   *p = buf;

	while (len > 0)
	{
		int			n;

		if (SSL_pending(l->ssl) == 0)
		{
			struct pollfd pfd = {l->fd, POLLIN, 0};

			if (l->server->stop)
				return false;
			if (poll(&pfd, 1, 50) <= 0)
				continue;
		}
		n = SSL_read(l->ssl, p, (int) len);
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t) n;
	}
	return true;
}

static bool
frame(Link *l, int type, int flags, uint32_t stream, const void *data, size_t len)
{
	unsigned char buf[100];

	buf[0] = 0;
	buf[1] = (unsigned char) (len >> 8);
	buf[2] = (unsigned char) len;
	buf[3] = (unsigned char) type;
	buf[4] = (unsigned char) flags;
	stream = htonl(stream);
	memcpy(buf + 5, &stream, 4);
	if (len > 0)
		memcpy(buf + 9, data, len);
	return SSL_write(l->ssl, buf, (int) (9 + len)) > 0;
}

static bool
goaway(Link *l, uint32_t last, uint32_t code)
{
	uint32_t	data[2] = {htonl(last), htonl(code)};

	return frame(l, FRAME_GOAWAY, 0, 0, data, 8);
}

static bool
reset(Link *l, uint32_t stream, uint32_t code)
{
	code = htonl(code);
	return frame(l, FRAME_RST, 0, stream, &code, 4);
}

/* A head with a status by its three digits; end = end of stream. */
static bool
head(Link *l, uint32_t stream, const char *status, bool end)
{
	char		block[5] = {0x08, 0x03};

	memcpy(block + 2, status, 3);
	return frame(l, FRAME_HEADERS, 4 | (end ? 1 : 0), stream, block, 5);
}

/* Do it; false = the connection ends. */
static bool
perform(Link *l, Deed deed, uint32_t stream)
{
	struct linger linger = {1, 0};
	int			i;

	switch (deed)
	{
		case ANSWER:
		case CLOSE_AT_START:	/* after that, what is asked is answered */
		case GOAWAY_AT_START:
		case ANSWER_AT_HEAD:
		case REFUSE_AT_HEAD:
		case GOAWAY_AT_HEAD:
		case CLOSE_AT_HEAD:
			return head(l, stream, "200", false) &&
				frame(l, FRAME_DATA, 1, stream, "{}", 2);
		case ANSWER_422:
			return head(l, stream, "422", true);
		case ANSWER_AFTER_103:
			return head(l, stream, "103", false) && head(l, stream, "202", true);
		case ONLY_103:
			head(l, stream, "103", false);
			return false;
		case HEAD_THEN_RESET:
			return head(l, stream, "422", false) && reset(l, stream, 2);
		case HEAD_THEN_CLOSE:
			head(l, stream, "200", false);
			return false;
		case REFUSE_STREAM:
			return reset(l, stream, 7);
		case RESET_INTERNAL:
			return reset(l, stream, 2);
		case RESET_CANCEL:
			return reset(l, stream, 8);
		case RESET_NO_ERROR:
			return reset(l, stream, 0);
		case GOAWAY_BEFORE:
			goaway(l, stream - 2, 0);
			return false;
		case GOAWAY_BEFORE_OPEN:
			return goaway(l, stream - 2, 0);
		case GOAWAY_INCLUDED:
			goaway(l, stream, 0);
			return false;
		case GOAWAY_ANSWER:
			return goaway(l, stream, 0) && head(l, stream, "200", true);
		case GOAWAY_11:
			goaway(l, 0, 13);
			return false;
		case RESET_11:
			return reset(l, stream, 13);
		case CLOSE:
			return false;
		case RESET_TCP:
			setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
			return false;
		case GARBAGE:
			SSL_write(l->ssl, "HTTP/1.1 200 OK\r\n\r\n", 19);
			return false;
		case SILENCE:
			return true;
		case PING_FLOOD:
			for (i = 0; i < 5000; i++)
			{
				if (!frame(l, FRAME_PING, 0, 0, "12345678", 8))
					return false;
			}
			return head(l, stream, "200", true);
	}
	return false;
}

static void *
serve(void *arg)
{
	Link	   *l = arg;
	Server	   *s = l->server;
	unsigned char h[9];
	char		payload[20000];
	char		text[200][32];	/* starts of the bodies, by stream */
	int			one = 1;
	Deed		deed;
	struct pollfd pfd = {l->fd, POLLIN, 0};

	memset(text, 0, sizeof(text));
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	l->ssl = SSL_new(s->tls);
	SSL_set_fd(l->ssl, l->fd);
	if (poll(&pfd, 1, 2000) <= 0 || SSL_accept(l->ssl) != 1 ||
		!read_all(l, payload, 24) ||
		!frame(l, FRAME_SETTINGS, 0, 0, NULL, 0))
		goto done;

	pthread_mutex_lock(&s->lock);
	deed = s->deeds[s->connections > 1];
	l->epoch = s->epoch;
	pthread_mutex_unlock(&s->lock);
	if (deed == CLOSE_AT_START)
		goto done;
	if (deed == GOAWAY_AT_START)
		goaway(l, 0, 0);

	while (read_all(l, h, 9))
	{
		size_t		len = (size_t) h[0] << 16 | (size_t) h[1] << 8 | h[2];
		uint32_t	stream = (uint32_t) (h[5] & 0x7F) << 24 |
		(uint32_t) h[6] << 16 | (uint32_t) h[7] << 8 | h[8];
		bool		end = (h[3] == FRAME_DATA || h[3] == FRAME_HEADERS) &&
		(h[4] & 1);

		if (len > sizeof(payload) || !read_all(l, payload, len))
			break;
		if (h[3] == FRAME_SETTINGS && !(h[4] & 1))
			frame(l, FRAME_SETTINGS, 1, 0, NULL, 0);

		pthread_mutex_lock(&s->lock);
		if (l->epoch != s->epoch && h[3] == FRAME_HEADERS)
			l->epoch = s->epoch;	/* the first request of a new script */
		if (h[3] == FRAME_HEADERS && l->epoch == s->epoch)
			s->heads++;
		deed = s->deeds[s->requests > 0];
		if (h[3] == FRAME_DATA && len > 0 && stream < 400 &&
			text[stream / 2][0] == '\0')
			memcpy(text[stream / 2], payload, len < 31 ? len : 31);
		if (end)
		{
			if (l->epoch == s->epoch)
			{
				if (stream < 400 && strstr(text[stream / 2], "MARK"))
					s->marked++;
				s->requests++;
			}
		}
		else if (h[3] == FRAME_HEADERS &&
				 (deed == ANSWER_AT_HEAD || deed == REFUSE_AT_HEAD ||
				  deed == GOAWAY_AT_HEAD || deed == CLOSE_AT_HEAD))
		{
			/* counts as the first request, complete or not */
			s->requests++;
			pthread_mutex_unlock(&s->lock);
			if (deed == ANSWER_AT_HEAD)
				head(l, stream, "413", true);
			else if (deed == REFUSE_AT_HEAD)
				reset(l, stream, 7);
			else if (deed == GOAWAY_AT_HEAD)
				goaway(l, stream - 2, 0);
			else
				break;
			continue;
		}
		pthread_mutex_unlock(&s->lock);

		if (end && !perform(l, deed, stream))
			break;
	}

done:
	SSL_free(l->ssl);
	close(l->fd);
	free(l);
	return NULL;
}

static void *
accept_loop(void *arg)
{
	Server	   *s = arg;

	while (!s->stop)
	{
		struct pollfd p = {s->fd, POLLIN, 0};
		Link	   *l;
		int			fd;

		if (poll(&p, 1, 20) <= 0 || (fd = accept(s->fd, NULL, NULL)) < 0)
			continue;
		l = calloc(1, sizeof(*l));
		l->server = s;
		l->fd = fd;
		pthread_mutex_lock(&s->lock);
		s->connections++;
		pthread_create(&s->threads[s->nthreads++], NULL, serve, l);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

static int
choose_h2(SSL *ssl, const unsigned char **out, unsigned char *outlen,
		  const unsigned char *in, unsigned int inlen, void *arg)
{
	unsigned int i;

	(void) ssl;
	(void) arg;
	for (i = 0; i < inlen; i += 1 + in[i])
	{
		if (in[i] == 2 && memcmp(in + i + 1, "h2", 2) == 0)
		{
			*out = in + i + 1;
			*outlen = 2;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static void
script(Deed first, Deed then)
{
	pthread_mutex_lock(&server.lock);
	server.deeds[0] = first;
	server.deeds[1] = then;
	server.requests = server.heads = server.marked = server.connections = 0;
	server.epoch++;
	pthread_mutex_unlock(&server.lock);
}

static int
marked(void)
{
	int			n;

	pthread_mutex_lock(&server.lock);
	n = server.marked;
	pthread_mutex_unlock(&server.lock);
	return n;
}

/* ---------- the client ---------- */

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static char ca[200];

static void
new_client(int transfers, int streams)
{
	HttpOptions opt;
	char		err[200];

	memset(&opt, 0, sizeof(opt));
	opt.max_transfers = transfers;
	opt.max_connections = transfers;
	opt.max_host_connections = transfers;
	opt.max_idle_s = 30;
	opt.max_streams = streams;
	opt.max_response = 65536;
	client = ln_http_create(&opt, err, sizeof(err));
}

static bool
add(const char *body, int total_ms)
{
	static const char *const headers[] = {"Content-Type: application/json"};
	HttpRequest req;
	char		url[100];
	char		err[200];

	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
	memset(&req, 0, sizeof(req));
	req.method = "POST";
	req.url = url;
	req.headers = headers;
	req.nheaders = 1;
	req.body = body;
	req.body_len = strlen(body);
	req.connect_timeout_ms = 2000;
	req.total_timeout_ms = total_ms;
	req.ca_file = ca;
	req.http2 = true;
	req.journal = &journal;
	return ln_http_add(client, &req, err, sizeof(err));
}

static bool
drive(int limit_ms)
{
	int64_t		end = now_ms() + limit_ms;

	for (;;)
	{
		long		wait;

		if (ln_http_next(client, &res))
			return true;
		wait = ln_http_timeout_ms(client);
		if (wait != 0)
		{
			struct pollfd p = {ln_http_fd(client), POLLIN, 0};
			int64_t		left = end - now_ms();

			if (left <= 0)
				return false;
			if (wait < 0 || wait > left)
				wait = (long) left;
			poll(&p, 1, (int) wait);
		}
		ln_http_step(client);
	}
}

/* One marked request against a script, with some warm connections before. */
static void
try_one(Deed first, Deed then, bool warm, HttpVerdict *verdict, int *copies)
{
	new_client(16, 0);
	if (warm)
	{
		script(ANSWER, ANSWER);
		add("warm", 3000);
		drive(3000);
		if (res.verdict != HTTP_STATUS || res.status != 200)
			diag("warming up failed: %s", res.error);
	}
	script(first, then);
	journal = 0;
	add("MARK", 1200);
	*verdict = HTTP_AMBIGUOUS;
	*copies = -1;
	if (!drive(10000))
	{
		ok(false, "it never ended");
		return;
	}
	usleep(30000);
	*copies = marked();
	*verdict = res.verdict;
	tries++;
	if (*copies > 1 || (*copies > 0 && journal == 0) ||
		(res.verdict == HTTP_NOT_SENT && (journal || *copies > 0)))
	{
		diag("%d copies, verdict %d, journal %d", *copies, res.verdict, journal);
		broken_promises++;
	}
	ln_http_destroy(client);
}

static const struct
{
	Deed		deed;
	const char *name;
	int			verdict;		/* -1 = any */
	int			status;
	int			copies;			/* -1 = 0 or 1 */
}			cases[] =

{
	{ANSWER, "200", HTTP_STATUS, 200, 1},
	{ANSWER_422, "422", HTTP_STATUS, 422, 1},
	{ANSWER_AFTER_103, "103, then 202", HTTP_STATUS, 202, 1},
	{ONLY_103, "103, then nothing", HTTP_AMBIGUOUS, 0, 1},
	{HEAD_THEN_RESET, "422, then the stream is reset", HTTP_STATUS, 422, 1},
	{HEAD_THEN_CLOSE, "200, then the connection closes", HTTP_STATUS, 200, 1},
	{REFUSE_STREAM, "read, then REFUSED_STREAM", HTTP_AMBIGUOUS, 0, 1},
	{RESET_INTERNAL, "read, then INTERNAL_ERROR", HTTP_AMBIGUOUS, 0, 1},
	{RESET_CANCEL, "read, then CANCEL", HTTP_AMBIGUOUS, 0, 1},
	{RESET_NO_ERROR, "read, then reset without error", HTTP_AMBIGUOUS, 0, 1},
	{GOAWAY_BEFORE, "read, then GOAWAY without it, close", HTTP_AMBIGUOUS, 0, 1},
	{GOAWAY_BEFORE_OPEN, "read, then GOAWAY without it", HTTP_AMBIGUOUS, 0, 1},
	{GOAWAY_INCLUDED, "read, then GOAWAY with it, close", HTTP_AMBIGUOUS, 0, 1},
	{GOAWAY_ANSWER, "GOAWAY with it, then 200", HTTP_STATUS, 200, 1},
	{GOAWAY_11, "read, then GOAWAY HTTP_1_1_REQUIRED", HTTP_AMBIGUOUS, 0, 1},
	{RESET_11, "read, then HTTP_1_1_REQUIRED", HTTP_AMBIGUOUS, 0, 1},
	{CLOSE, "read, then closed", HTTP_AMBIGUOUS, 0, 1},
	{RESET_TCP, "read, then reset", HTTP_AMBIGUOUS, 0, 1},
	{GARBAGE, "read, then garbage", HTTP_AMBIGUOUS, 0, 1},
	{SILENCE, "read, then silence", HTTP_AMBIGUOUS, 0, 1},
	{PING_FLOOD, "5000 PINGs, then 200", HTTP_STATUS, 200, 1},
	{ANSWER_AT_HEAD, "413 at the head", -1, 0, -1},
	{REFUSE_AT_HEAD, "REFUSED_STREAM at the head", -1, 0, -1},
	{GOAWAY_AT_HEAD, "GOAWAY at the head", -1, 0, -1},
	{CLOSE_AT_HEAD, "closed at the head", -1, 0, -1},
	{CLOSE_AT_START, "closed before any request", -1, 0, -1},
	{GOAWAY_AT_START, "GOAWAY before any request", -1, 0, -1},
};

/* Several requests share a connection that breaks: each is judged alone. */
static void
test_shared(Deed deed, const char *name)
{
	int			n = 10;
	int			i;
	int			counts[3] = {0, 0, 0};
	int			copies;

	new_client(16, 0);
	script(ANSWER, ANSWER);
	add("warm", 3000);
	drive(3000);
	script(deed, ANSWER);
	for (i = 0; i < n; i++)
		add("MARK", 1500);
	for (i = 0; i < n && drive(10000); i++)
		counts[res.verdict]++;
	usleep(30000);
	copies = marked();
	ok(i == n && copies <= n && copies >= counts[HTTP_STATUS] &&
	   copies <= counts[HTTP_STATUS] + counts[HTTP_AMBIGUOUS],
	   "%s: 10 streams, %d copies, %d with status, %d ambiguous, %d not sent",
	   name, copies, counts[HTTP_STATUS], counts[HTTP_AMBIGUOUS],
	   counts[HTTP_NOT_SENT]);
	ln_http_destroy(client);
}

static void
test_streams(void)
{
	int			i;
	int			good = 0;

	new_client(64, 5);
	script(ANSWER, ANSWER);
	for (i = 0; i < 64; i++)
		add("MARK", 5000);
	for (i = 0; i < 64 && drive(10000); i++)
		good += res.verdict == HTTP_STATUS && res.status == 200;
	is_int(good, 64, "64 requests at once");
	ok(server.connections >= 1 && server.connections <= 64,
	   "over %d connections of 5 streams", server.connections);
	is_int(marked(), 64, "each received once");
	ln_http_destroy(client);

	/* an abort in the middle */
	new_client(16, 0);
	script(SILENCE, SILENCE);
	for (i = 0; i < 8; i++)
		add("MARK", 5000);
	drive(200);
	ln_http_abort_all(client);
	for (good = 0; drive(0);)
		good += res.aborted && res.verdict == HTTP_AMBIGUOUS;
	is_int(good, 8, "eight aborted streams are ambiguous");
	script(ANSWER, ANSWER);
	add("MARK", 3000);
	ok(drive(5000) && res.status == 200, "and the client goes on: %s", res.error);
	ln_http_destroy(client);
}

int
main(void)
{
	char		dir[] = "/tmp/ln_http2_test_XXXXXX";
	struct sockaddr_in addr;
	socklen_t	len = sizeof(addr);
	size_t		i;
	int			warm;
	int			k;

	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(dir) == NULL)
		return 2;
	snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	pthread_mutex_init(&server.lock, NULL);
	server.tls = rude_tls("127.0.0.1", -3600, 3600, ca);
	SSL_CTX_set_alpn_select_cb(server.tls, choose_h2, NULL);
	server.fd = socket(AF_INET, SOCK_STREAM, 0);
	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(server.fd, (struct sockaddr *) &addr, sizeof(addr));
	listen(server.fd, 128);
	getsockname(server.fd, (struct sockaddr *) &addr, &len);
	server.port = ntohs(addr.sin_port);
	pthread_create(&server.acceptor, NULL, accept_loop, &server);

	diag("%s", ln_http_version());
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		for (warm = 0; warm <= 1; warm++)
		{
			/* the others answer, or do the same */
			for (k = 0; k <= 1; k++)
			{
				HttpVerdict verdict;
				int			copies;

				try_one(cases[i].deed, k ? cases[i].deed : ANSWER, warm,
						&verdict, &copies);
				ok(copies <= 1 &&
				   (cases[i].verdict < 0 || (int) verdict == cases[i].verdict) &&
				   (cases[i].status == 0 || res.status == cases[i].status) &&
				   (cases[i].copies < 0 || copies == cases[i].copies),
				   "%s, %s connection, then %s: %d copies, %s, status %d, %s",
				   cases[i].name, warm ? "warm" : "new", k ? "likewise" : "answers",
				   copies, verdict == HTTP_STATUS ? "status" :
				   verdict == HTTP_AMBIGUOUS ? "ambiguous" : "not sent",
				   res.status, res.error);
			}
		}
	}

	test_shared(CLOSE, "closed");
	test_shared(RESET_TCP, "reset");
	test_shared(GOAWAY_BEFORE, "GOAWAY, closed");
	test_shared(GOAWAY_BEFORE_OPEN, "GOAWAY");
	test_shared(REFUSE_STREAM, "one refused");
	test_streams();

	is_int(broken_promises, 0, "no promise was broken");
	diag("in %d transfers", tries);

	server.stop = true;
	pthread_join(server.acceptor, NULL);
	for (k = 0; k < server.nthreads; k++)
		pthread_join(server.threads[k], NULL);
	close(server.fd);
	SSL_CTX_free(server.tls);
	unlink(ca);
	rmdir(dir);
	return done_testing();
}
