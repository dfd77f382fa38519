/*-------------------------------------------------------------------------
 *
 * http_test.c
 *		Proves what http.h promises about requests and answers, against a
 *		server that follows byte-level scripts.
 *
 * After each transfer, whatever it was about, the same is asked of the server
 * as an independent judge: did it get the body once at most, did it get
 * nothing when we say "not sent", and does the journal agree?
 *
 * The transfers are driven as the worker drives them: poll() on the client's
 * descriptor with the client's time-out, then a step.  So a wake-up that gets
 * lost shows as a transfer that lasts too long.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"
#include "rude_server.h"
#include "tap.h"

#define OK_HEAD		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define OK \
	OK_HEAD "x-line-request-id: r-1\r\nContent-Length: 2\r\n\r\n{}"

/* answers and keeps the connection */
static const Step good[] = {READ_ALL, SEND(OK), KEEP};

static HttpClient *client;
static RudeServer server;		/* plain */
static RudeServer * judged = &server;	/* whose counts judge() believes */
static char dir[] = "/tmp/ln_http_test_XXXXXX";

/* What a request is, as far as tests differ. */
typedef struct Try
{
	const char *path;			/* NULL = / */
	const char *scheme;			/* NULL = http */
	const char *host;			/* NULL = 127.0.0.1 */
	int			port;			/* 0 = the plain server's */
	const char *body;			/* NULL = "MARK" as JSON */
	size_t		body_len;
	bool		get;
	int			connect_ms;		/* 0 = 2000 */
	int			total_ms;		/* 0 = 5000 */
	const char *ca_file;
	const char *proxy;
}			Try;

static volatile uint8_t journal;
static HttpResult res;
static char res_body[200000];
static int	steps;				/* of the last drive() */
static int	tries = 0;			/* transfers judged */
static int	broken_promises = 0;

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int	lifetime_s = 0;		/* of the next client */

static HttpClient *
new_client(int transfers, int connections, int idle_s)
{
	HttpOptions opt;
	char		err[200];
	HttpClient *c;

	memset(&opt, 0, sizeof(opt));
	opt.max_transfers = transfers;
	opt.max_connections = connections;
	opt.max_host_connections = connections;
	opt.max_idle_s = idle_s;
	opt.max_lifetime_s = lifetime_s;
	opt.max_response = 65536;
	c = ln_http_create(&opt, err, sizeof(err));
	if (c == NULL)
	{
		ok(false, "create: %s", err);
		exit(done_testing());
	}
	return c;
}

/* Add a request; false = refused. */
static bool
add(const Try * t, uint64_t tag, char *err, size_t errlen)
{
	static const char *const headers[] =
	{
		"Content-Type: application/json",
		"Authorization: Bearer SECRET",
		"X-Line-Delivery-Tag: ln1-1-1-0000000000000"
	};
	HttpRequest req;
	char		url[600];

	snprintf(url, sizeof(url), "%s://%s:%d%s",
			 t->scheme ? t->scheme : "http", t->host ? t->host : "127.0.0.1",
			 t->port ? t->port : server.port, t->path ? t->path : "/");
	memset(&req, 0, sizeof(req));
	req.tag = tag;
	req.method = t->get ? "GET" : "POST";
	req.url = url;
	req.headers = headers;
	req.nheaders = t->get ? 2 : 3;
	if (!t->get)
	{
		req.body = t->body ? t->body : "{\"MARK\":1}";
		req.body_len = t->body ? t->body_len : strlen(req.body);
	}
	req.connect_timeout_ms = t->connect_ms ? t->connect_ms : 2000;
	req.total_timeout_ms = t->total_ms ? t->total_ms : 5000;
	req.ca_file = t->ca_file;
	req.proxy = t->proxy;
	req.journal = &journal;
	return ln_http_add(client, &req, err, errlen);
}

/* Wait and step until a transfer is done; false = nothing within limit_ms. */
static bool
drive(int limit_ms)
{
	int64_t		end = now_ms() + limit_ms;

	steps = 0;
	for (;;)
	{
		long		wait;

		if (ln_http_next(client, &res))
		{
			size_t		n = res.body_len < sizeof(res_body) - 1 ?
			res.body_len : sizeof(res_body) - 1;

			memcpy(res_body, res.body, n);
			res_body[n] = '\0';
			return true;
		}
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
		steps++;
	}
}

/* Did the server see what it must have seen, given what we say? */
static void
judge(void)
{
	int			copies = rude_marked(judged);

	tries++;
	if (copies > 1)
	{
		broken_promises++;
		diag("received %d times", copies);
	}
	if (res.verdict == HTTP_NOT_SENT && copies > 0)
	{
		broken_promises++;
		diag("called not sent: %d copies, journal %d", copies, journal);
	}
	if (copies > 0 && journal == 0)
	{
		broken_promises++;
		diag("received without a journal");
	}
	if ((res.verdict == HTTP_STATUS) != (res.status >= 200))
	{
		broken_promises++;
		diag("verdict %d with status %d", res.verdict, res.status);
	}
}

/* One transfer from begin to end. */
static bool
go(const Try * t)
{
	char		err[200] = "";

	journal = 0;
	if (!add(t, 7, err, sizeof(err)))
	{
		ok(false, "refused: %s", err);
		return false;
	}
	if (!drive(15000))
	{
		ok(false, "it never ended");
		ln_http_abort_all(client);
		drive(1);
		return false;
	}
	judge();
	return true;
}

static void
result_is(HttpVerdict verdict, int status, const char *name)
{
	if (!ok(res.verdict == verdict && res.status == status, "%s", name))
		diag("verdict %d, status %d, curl %d, error \"%s\"", res.verdict,
			 res.status, res.curl_code, res.error);
}

/* What was left on a connection is not the answer to the next request. */
static void
not_stolen(void)
{
	if (!ok(res.verdict == HTTP_STATUS && res.status == 200 &&
			res.new_connection, "is not taken for the next request"))
		diag("verdict %d, status %d, curl %d, error \"%s\"", res.verdict,
			 res.status, res.curl_code, res.error);
}

/* Run one script against one ordinary POST on a fresh connection. */
static void
script_gives(const Step *script, HttpVerdict verdict, int status,
			 const char *name)
{
	Try			t;

	memset(&t, 0, sizeof(t));
	t.total_ms = 1500;
	ln_http_forget_connections(client);
	rude_script(&server, script, NULL);
	if (go(&t))
		result_is(verdict, status, name);
}

/* ---------- ordinary life ---------- */

static void
test_plain(void)
{
	Try			t;
	static const Step slow[] = {READ_ALL, SLEEP(300), SEND(OK), KEEP};

	memset(&t, 0, sizeof(t));
	rude_script(&server, good, NULL);

	go(&t);
	result_is(HTTP_STATUS, 200, "a POST");
	is_int((long long) res.tag, 7, "its tag comes back");
	is_str(res_body, "{}", "its body");
	is_str(res.request_id, "r-1", "its request id");
	is_str(res.error, "", "no error");
	ok(!res.aborted && !res.body_truncated && res.curl_code == 0 &&
	   res.retry_after_ms == -1 && res.elapsed_us > 0 &&
	   res.elapsed_us < 5000000, "the other fields");
	ok(res.new_connection, "on a new connection");
	ok(journal == 1, "the journal is set");
	is_str(server.last_body, "{\"MARK\":1}", "what the server got");
	ok(strncmp(server.last_head, "POST / HTTP/1.1\r\n", 17) == 0, "its line");
	ok(strstr(server.last_head, "\r\nContent-Length: 10\r\n") != NULL,
	   "a length");
	ok(strstr(server.last_head, "\r\nContent-Type: application/json\r\n") &&
	   strstr(server.last_head, "\r\nAuthorization: Bearer SECRET\r\n") &&
	   strstr(server.last_head, "\r\nX-Line-Delivery-Tag: ln1-"),
	   "our headers");
	ok(!strcasestr(server.last_head, "\r\nExpect") &&
	   !strcasestr(server.last_head, "\r\nTransfer-Encoding") &&
	   !strcasestr(server.last_head, "\r\nAccept-Encoding") &&
	   !strcasestr(server.last_head, "\r\nUser-Agent") &&
	   !strcasestr(server.last_head, "\r\nCookie"), "and nothing unwanted");

	rude_script(&server, good, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "a second POST");
	ok(!res.new_connection && rude_connections(&server) == 0,
	   "on the same connection");

	rude_script(&server, good, NULL);
	t.get = true;
	t.path = "/v2/bot/info?x=1";
	go(&t);
	result_is(HTTP_STATUS, 200, "a GET with the same handle");
	ok(strncmp(server.last_head, "GET /v2/bot/info?x=1 HTTP/1.1\r\n",
			   31) == 0 &&
	   !strcasestr(server.last_head, "Content-Length"), "without a body");
	ok(journal == 0, "without a journal");

	rude_script(&server, good, NULL);
	t.get = false;
	t.path = "/";
	t.body = "MARKMARK";
	t.body_len = 8;
	go(&t);
	result_is(HTTP_STATUS, 200, "and a POST again");
	is_str(server.last_body, "MARKMARK", "with another body");

	/* a body with NULs, and a large one */
	rude_script(&server, good, NULL);
	t.body = "MARK\0\0\xff\xfe";
	t.body_len = 8;
	go(&t);
	ok(server.body_bytes == 8 && memcmp(server.last_body, t.body, 5) == 0,
	   "a body is bytes");
	rude_script(&server, good, NULL);
	t.body_len = 3000000;
	t.body = calloc(1, t.body_len);
	memcpy((char *) t.body, "MARK", 4);
	go(&t);
	result_is(HTTP_STATUS, 200, "a body of 3 MB");
	is_int((long long) server.body_bytes, 3000000, "arrives whole");
	ok(!strcasestr(server.last_head, "\r\nExpect"), "still without Expect");
	free((char *) t.body);

	/* waiting costs nothing */
	memset(&t, 0, sizeof(t));
	rude_script(&server, slow, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "a slow answer");
	ok(steps < 30, "is waited for without turning (%d steps)", steps);
	is_int(ln_http_timeout_ms(client), -1, "no deadline without transfers");
	is_int(ln_http_active(client), 0, "none active");
}

static void
test_refused_requests(void)
{
	static const struct
	{
		const char *header;
		bool		good;
	}			cases[] =
	{
		{"A: b", true},
		{"A:b", true},
		{"X-Line-Delivery-Tag: ln1-1", true},
		{"A: \xE3\x81\x93", true},
		{"A: b\r\nB: c", false},
		{"A: b\r", false},
		{"A: b\n", false},
		{"A: b\x01", false},
		{"A: b\tc", false},
		{"A: b\x7f", false},
		{"", false},
		{":", false},
		{": b", false},
		{"A", false},
		{"A;", false},
		{"A:", false},
		{"A:  ", false},
		{"A b: c", false},
		{"A : c", false},
		{"A\"b: c", false},
		{"\xE3\x81\x93: c", false},
		{"Content-Length: 5", false},
		{"transfer-encoding: chunked", false},
		{"EXPECT: 100-continue", false},
		{"Connection: close", false},
	};
	static const char *const urls[] =
	{
		"", "127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd",
		"HTTPS ://x/", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y",
		"http://127.0.0.1/\xE3\x81\x93", "gopher://127.0.0.1/", NULL
	};
	HttpRequest req;
	const char *headers[70];
	char		err[200];
	char		url[100];
	size_t		i;
	int			accepted;

	rude_script(&server, good, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
	memset(&req, 0, sizeof(req));
	req.method = "POST";
	req.url = url;
	req.headers = headers;
	req.nheaders = 1;
	req.body = "MARK";
	req.body_len = 4;
	req.connect_timeout_ms = req.total_timeout_ms = 1000;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		headers[0] = cases[i].header;
		err[0] = '\0';
		accepted = ln_http_add(client, &req, err, sizeof(err));
		ok((bool) accepted == cases[i].good &&
		   (accepted || (strlen(err) > 10 && err[strlen(err) - 1] == '.')),
		   "header %d is %s %s", (int) i, cases[i].good ? "accepted" :
		   "refused:", err);
		if (accepted)
			drive(3000);
	}
	headers[0] = "A: b";

#define REFUSED(what, name) \
	do { \
		HttpRequest saved = req; \
		what; \
		err[0] = '\0'; \
		ok(!ln_http_add(client, &req, err, sizeof(err)) && \
		   strlen(err) > 10, "%s: %s", name, err); \
		req = saved; \
	} while (0)

	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		REFUSED(req.url = urls[i], "bad URL");
	REFUSED(req.method = "PUT", "PUT");
	REFUSED(req.method = "post", "post");
	REFUSED(req.method = NULL, "no method");
	REFUSED(req.body_len = 0, "POST without a body");
	REFUSED(req.body = NULL, "POST with NULL");
	REFUSED(req.method = "GET", "GET with a body");
	REFUSED(req.body_len = (size_t) 1 << 40, "absurd length");
	REFUSED(req.connect_timeout_ms = 0, "no connect time-out");
	REFUSED(req.total_timeout_ms = -1, "negative time-out");
	REFUSED(req.nheaders = -1, "negative number of headers");
	for (i = 0; i < 70; i++)
		headers[i] = "A: b";
	REFUSED(req.nheaders = 70, "too many headers");
	ok(!ln_http_add(client, &req, err, 0) || true, "no room for a sentence");
	while (ln_http_active(client) > 0)
		drive(3000);

	/* libcurl's part: credentials in the URL never connect */
	rude_script(&server, good, NULL);
	snprintf(url, sizeof(url), "http://user:pw@127.0.0.1:%d/", server.port);
	ok(ln_http_add(client, &req, err, sizeof(err)) && drive(3000) &&
	   res.verdict == HTTP_NOT_SENT && rude_connections(&server) == 0,
	   "credentials in a URL: %s", res.error);
	ok(strstr(res.error, "pw") == NULL, "not repeated in the error");
}

static void
test_limits(void)
{
	HttpClient *saved = client;
	static const Step slow[] = {READ_ALL, SLEEP(50), SEND(OK), KEEP};
	Try			t;
	char		err[200];
	int			i;
	int			n;
	uint64_t	seen = 0;

	memset(&t, 0, sizeof(t));
	client = new_client(5, 2, 10);
	rude_script(&server, slow, NULL);
	for (i = 0; i < 5; i++)
		ok(ln_http_free(client) == 5 - i && ln_http_active(client) == i &&
		   add(&t, (uint64_t) i, err, sizeof(err)), "transfer %d of 5", i);
	ok(!add(&t, 5, err, sizeof(err)), "the sixth is refused: %s", err);
	is_int(ln_http_timeout_ms(client), 0, "there is something to do");
	for (n = 0; n < 5 && drive(5000); n++)
	{
		if (res.verdict == HTTP_STATUS && res.status == 200)
			seen |= 1 << res.tag;
	}
	is_int((long long) seen, 31, "all five succeed");
	ok(rude_connections(&server) <= 2, "over two connections at most");
	ok(add(&t, 9, err, sizeof(err)), "and there is room again");
	ok(drive(5000) && res.tag == 9, "for one more");
	ln_http_destroy(client);

	/* 0: a connection for each request */
	client = new_client(5, 5, 0);
	rude_script(&server, good, NULL);
	go(&t);
	rude_script(&server, good, NULL);
	go(&t);
	ok(res.new_connection && rude_connections(&server) == 1,
	   "max_idle_s 0: no connection is used twice");
	ln_http_destroy(client);

	client = new_client(5, 5, 1);
	rude_script(&server, good, NULL);
	go(&t);
	usleep(2100000);
	rude_script(&server, good, NULL);
	go(&t);
	ok(res.new_connection && rude_connections(&server) == 1,
	   "an idle connection is too old after max_idle_s");
	ln_http_destroy(client);

	ln_http_destroy(NULL);
	client = saved;
}

/* Responses: bodies, Retry-After, request ids. */
static void
test_answers(void)
{
	static const struct
	{
		const char *header;
		long long	least;
		long long	most;
	}			waits[] =
	{
		{"Retry-After: 0", 0, 0},
		{"Retry-After: 7", 7000, 7000},
		{"retry-after:7  ", 7000, 7000},
		{"RETRY-AFTER: \t120", 120000, 120000},
		{"Retry-After: 86400", 86400000, 86400000},
		{"Retry-After: 86401", 86400000, 86400000},
		{"Retry-After: 99999999999999999999999999", 86400000, 86400000},
		{"Retry-After: -1", -1, -1},
		{"Retry-After: 1.5", -1, -1},
		{"Retry-After: 5 s", -1, -1},
		{"Retry-After: soon", -1, -1},
		{"Retry-After:", -1, -1},
		{"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", 0, 0},
		{"Retry-After: Sunday, 06-Nov-94 08:49:37 GMT", 0, 0},
		{"Retry-After: Fri, 31 Dec 2099 23:59:59 GMT", 86400000, 86400000},
		{"Retry-After: Xri, 99 Foo 2099 23:59:59 GMT", -1, -1},
		{"Retry-After: 20991231", 86400000, 86400000},
		{"X-Retry-After: 5", -1, -1},
		{"Retry-After: 3\r\nRetry-After: 9\r\nRetry-After: 4", 9000, 9000},
	};
	Step		script[] = {READ_ALL, {STEP_SEND, NULL, 0, 0}, KEEP};
	Try			t;
	char		text[70000];
	char		date[100];
	time_t		soon;
	size_t		i;
	size_t		n;

	memset(&t, 0, sizeof(t));
	for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
	{
		n = (size_t) snprintf(text, sizeof(text), "HTTP/1.1 503 Busy\r\n%s\r\n"
							  "Content-Length: 0\r\n\r\n", waits[i].header);
		script[1].bytes = text;
		script[1].len = n;
		rude_script(&server, script, NULL);
		go(&t);
		if (!ok(res.status == 503 && res.retry_after_ms >= waits[i].least &&
				res.retry_after_ms <= waits[i].most, "%.*s",
				(int) strcspn(waits[i].header, "\r"), waits[i].header))
			diag("%lld", (long long) res.retry_after_ms);
	}

	soon = time(NULL) + 60;
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&soon));
	script[1].len = (size_t) snprintf(text, sizeof(text), "HTTP/1.1 429 Slow "
									  "down\r\nRetry-After: %s\r\n"
									  "Content-Length: 0\r\n\r\n", date);
	rude_script(&server, script, NULL);
	go(&t);
	ok(res.retry_after_ms > 55000 && res.retry_after_ms <= 60000,
	   "a date a minute ahead: %lld ms", (long long) res.retry_after_ms);

	/* request ids of any kind */
	script[1].len = (size_t) snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n"
									  "X-LINE-Request-ID: %0200d\r\n"
									  "Content-Length: 0\r\n\r\n", 1);
	rude_script(&server, script, NULL);
	go(&t);
	is_int((long long) strlen(res.request_id), 79, "a long request id is cut");
	script[1].len = (size_t) snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n"
									  "x-line-request-id: "
									  "a\x01\x1b[31m\x7f\xff"
									  "b\r\nContent-Length: 0\r\n\r\n");
	rude_script(&server, script, NULL);
	go(&t);
	is_str(res.request_id, "a??[31m??b", "a rude one is made printable");

	/* bodies up to the cap, at it, and beyond */
	for (i = 65535; i <= 65537; i++)
	{
		n = (size_t) snprintf(text, sizeof(text), "HTTP/1.1 400 Bad\r\n"
							  "Content-Length: %d\r\n\r\n", (int) i);
		memset(text + n, 'y', i);
		script[1].len = n + i;
		rude_script(&server, script, NULL);
		go(&t);
		ok(res.status == 400 && res.body_len == (i < 65536 ? i : 65536) &&
		   res.body_truncated == (i > 65536) &&
		   (res.error[0] != '\0') == (i > 65536),
		   "a body of %d bytes: %s", (int) i, res.error);
	}
}

/* ---------- the status line ---------- */

static void
test_status_lines(void)
{
#define CUT(name, text) static const Step name[] = {READ_ALL, SEND(text), END}
	CUT(nothing, "");
	CUT(h, "H");
	CUT(version, "HTTP/1.1");
	CUT(two_digits, "HTTP/1.1 20");
	CUT(three_digits, "HTTP/1.1 200");
	CUT(no_line_end, "HTTP/1.1 200 OK");
	CUT(only_cr, "HTTP/1.1 200 OK\r");
	CUT(line, "HTTP/1.1 200 OK\r\n");
	CUT(line_lf, "HTTP/1.1 200 OK\n");
	CUT(line_500, "HTTP/1.1 500 Oops\r\n");
	CUT(half_header, "HTTP/1.1 422 No\r\nContent-Le");
	CUT(head_only, "HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n");
	CUT(half_body, "HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n12345");
	CUT(no_reason, "HTTP/1.1 202\r\nContent-Length: 0\r\n\r\n");
	CUT(http10, "HTTP/1.0 200 OK\r\n\r\n{}");
	CUT(status_999, "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n");
	CUT(status_600, "HTTP/1.1 600 What\r\nContent-Length: 0\r\n\r\n");
	CUT(status_099, "HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n");
	CUT(status_1000, "HTTP/1.1 1000 What\r\nContent-Length: 0\r\n\r\n");
	CUT(status_word, "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n");
	CUT(http09, "<html>hello</html>\n");
	CUT(ssh, "SSH-2.0-OpenSSH_9.2\r\n");
	CUT(nuls, "\0\0\0\0\0\0\0\0\0\0\0\0");
	CUT(utf8, "\xff\xfe\xc0\x80\xed\xa0\x80\r\n\r\n");
	CUT(nul_in_line, "HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n");
	CUT(nul_in_header,
		"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n");
	CUT(bad_header,
		"HTTP/1.1 200 OK\r\n\xff\xfe\xc0: \x80\r\nContent-Length: 0\r\n\r\n");
	CUT(interim_only, "HTTP/1.1 100 Continue\r\n\r\n");
	CUT(interim_102, "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 20");
	CUT(interim_103, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK);
	CUT(switching,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc");
	CUT(two_interims, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
		"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
	CUT(status_as_header, "HTTP/1.1 400 Bad\r\nHTTP/1.1 200 OK\r\n"
		"Content-Length: 0\r\n\r\n");
	CUT(status_as_trailer, "HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n"
		"\r\n2\r\nab\r\n0\r\nHTTP/1.1 200 OK\r\nRetry-After: 9\r\n\r\n");
	CUT(status_in_body, "HTTP/1.1 400 Bad\r\nContent-Length: 19\r\n\r\n"
		"HTTP/1.1 200 OK\r\n\r\n");
	CUT(bad_chunk,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
	CUT(huge_chunk, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"ffffffffffffffff\r\nab");
	CUT(bad_length, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}");
	CUT(bad_length2, "HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}");
	CUT(huge_length, "HTTP/1.1 200 OK\r\n"
		"Content-Length: 99999999999999999999999\r\n\r\n{}");
	CUT(two_lengths, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
		"Content-Length: 7\r\n\r\n{}");
	CUT(more_than_said, OK "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
	CUT(gzip, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
		"Content-Length: 5\r\n\r\nxxxxx");
	CUT(te_gzip, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxxxxx");
	CUT(redirect, "HTTP/1.1 307 Go\r\nLocation: /other\r\n"
		"Content-Length: 0\r\n\r\n");
	CUT(cookie, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n"
		"Strict-Transport-Security: max-age=9\r\nContent-Length: 0\r\n\r\n");
	CUT(auth, "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n"
		"Content-Length: 0\r\n\r\n");
	static const Step stall_after_line[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\n"), STALL};
	static const Step stall_in_line[] = {
		READ_ALL, SEND("HTTP/1.1 200"), STALL
	};
	static const Step stall_after_head[] =
	{READ_ALL, SEND("HTTP/1.1 422 No\r\nContent-Length: 5\r\n\r\n"), STALL};
	static const Step reset_after_line[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\n"), SLEEP(100), RESET};
	static const Step drip[] = {READ_ALL, DRIP(OK, 5), KEEP};

	script_gives(nothing, HTTP_AMBIGUOUS, 0, "closed without a byte");
	script_gives(h, HTTP_AMBIGUOUS, 0, "H");
	script_gives(version, HTTP_AMBIGUOUS, 0, "HTTP/1.1");
	script_gives(two_digits, HTTP_AMBIGUOUS, 0, "HTTP/1.1 20");
	script_gives(three_digits, HTTP_AMBIGUOUS, 0, "HTTP/1.1 200");
	script_gives(no_line_end, HTTP_AMBIGUOUS, 0, "HTTP/1.1 200 OK");
	script_gives(only_cr, HTTP_AMBIGUOUS, 0, "line without line feed");
	script_gives(line, HTTP_STATUS, 200, "the complete line counts");
	script_gives(line_lf, HTTP_STATUS, 200, "also with a bare line feed");
	script_gives(line_500, HTTP_STATUS, 500, "also 500");
	script_gives(half_header, HTTP_STATUS, 422, "cut off in a header");
	script_gives(head_only, HTTP_STATUS, 202, "cut off before the body");
	ok(res.error[0] != '\0' && res.curl_code != 0,
	   "and says so: %s", res.error);
	script_gives(half_body, HTTP_STATUS, 202, "cut off in the body");
	is_str(res_body, "12345", "what came of it");
	script_gives(no_reason, HTTP_STATUS, 202, "no reason phrase");
	script_gives(http10, HTTP_STATUS, 200, "HTTP/1.0, body until the end");
	is_str(res_body, "{}", "its body");
	script_gives(status_999, HTTP_STATUS, 999, "999 (ln_line_outcome judges)");
	script_gives(status_600, HTTP_STATUS, 600, "600");
	script_gives(status_099, HTTP_AMBIGUOUS, 0, "099");
	script_gives(status_1000, HTTP_AMBIGUOUS, 0, "1000");
	script_gives(status_word, HTTP_AMBIGUOUS, 0, "no number");
	script_gives(http09, HTTP_AMBIGUOUS, 0, "no HTTP at all");
	script_gives(ssh, HTTP_AMBIGUOUS, 0, "another protocol");
	script_gives(nuls, HTTP_AMBIGUOUS, 0, "NULs");
	script_gives(utf8, HTTP_AMBIGUOUS, 0, "invalid UTF-8");
	script_gives(nul_in_line, HTTP_AMBIGUOUS, 0, "NUL in the reason");
	script_gives(nul_in_header, HTTP_STATUS, 200, "NUL in a header");
	script_gives(bad_header, HTTP_STATUS, 200, "invalid UTF-8 in a header");
	script_gives(interim_only, HTTP_AMBIGUOUS, 0, "100 and no more");
	script_gives(interim_102, HTTP_AMBIGUOUS, 0, "102 and half a line");
	script_gives(interim_103, HTTP_STATUS, 200, "103, then 200");
	is_str(res.request_id, "r-1", "and the headers of the second");
	script_gives(switching, HTTP_AMBIGUOUS, 0, "101");
	script_gives(two_interims, HTTP_STATUS, 400, "100, 102, 400");
	script_gives(status_as_header, HTTP_STATUS, 400,
				 "a status line as header");
	script_gives(status_as_trailer, HTTP_STATUS, 400,
				 "a status line as trailer");
	is_int(res.retry_after_ms, -1, "trailers do not count");
	script_gives(status_in_body, HTTP_STATUS, 400, "a status line as body");
	script_gives(bad_chunk, HTTP_STATUS, 200, "malformed chunk");
	script_gives(huge_chunk, HTTP_STATUS, 200, "absurd chunk");
	script_gives(bad_length, HTTP_STATUS, 200, "negative length");
	script_gives(bad_length2, HTTP_STATUS, 200, "length is no number");
	script_gives(huge_length, HTTP_STATUS, 200, "absurd length");
	script_gives(two_lengths, HTTP_STATUS, 200, "two lengths");
	script_gives(more_than_said, HTTP_STATUS, 200, "more than announced");
	script_gives(gzip, HTTP_STATUS, 200, "compressed unasked");
	is_str(res_body, "xxxxx", "is not unpacked");
	script_gives(te_gzip, HTTP_STATUS, 200, "transfer encoding gzip");
	script_gives(redirect, HTTP_STATUS, 307, "a redirect");
	is_int(rude_heads(&server), 1, "is not followed");
	script_gives(auth, HTTP_STATUS, 401, "a challenge");
	is_int(rude_heads(&server), 1, "is not answered");
	script_gives(cookie, HTTP_STATUS, 200, "a cookie");
	{
		Try			t;

		memset(&t, 0, sizeof(t));
		rude_script(&server, good, NULL);
		go(&t);
		ok(!strcasestr(server.last_head, "\r\nCookie"), "is not kept");
	}
	script_gives(drip, HTTP_STATUS, 200, "an answer byte by byte");
	script_gives(reset_after_line, HTTP_STATUS, 200, "reset after the line");
	script_gives(stall_after_line, HTTP_STATUS, 200, "stalled after the line");
	ok(res.curl_code == 28, "by time-out: %s", res.error);
	script_gives(stall_in_line, HTTP_AMBIGUOUS, 0, "stalled in the line");
	script_gives(stall_after_head, HTTP_STATUS, 422,
				 "stalled before the body");

	/* what is left on a connection is not the next request's answer */
	{
		static const Step extra[] =
		{READ_ALL, SEND(OK "HTTP/1.1 422 Stolen\r\nContent-Length: 0\r\n\r\n"),
		KEEP};
		static const Step late_ok[] =
		{READ_ALL, SEND(OK), SLEEP(50), SEND("HTTP/1.1 422 Stolen\r\n"
											 "Content-Length: 0\r\n\r\n"),
		SLEEP(300), END};
		static const Step late[] =
		{READ_ALL, SEND(OK), SLEEP(50), SEND("HTTP/1.1 408 Idle\r\n"
											 "Content-Length: 0\r\nConnection: close\r\n\r\n"), END};
		Try			t;

		memset(&t, 0, sizeof(t));
		script_gives(extra, HTTP_STATUS, 200, "an answer too many");
		rude_script(&server, good, NULL);
		go(&t);
		not_stolen();
		script_gives(late_ok, HTTP_STATUS, 200, "a second answer, later");
		drive(150);
		rude_script(&server, good, NULL);
		go(&t);
		not_stolen();
		script_gives(late, HTTP_STATUS, 200,
					 "a late 408 on an idle connection");
		drive(150);
		rude_script(&server, good, NULL);
		go(&t);
		not_stolen();
	}
}

static void
test_floods(void)
{
	static const Step interims[] =
	{READ_ALL, REPEAT("HTTP/1.1 102 Processing\r\n\r\n", -1), END};
	static const Step headers[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\n"), REPEAT("A: b\r\n", -1), END};
	static const Step before[] =
	{READ_ALL, SEND("HTTP/1.1 102 Wait\r\n"), REPEAT("A: b\r\n", -1), END};
	static const Step long_headers[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\n"),
		REPEAT("A: bbbbbbbbbbbbbbbbbbbbbbbb"
			   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
			   "\r\n", -1), END};
	static const Step one_line[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\nA: "), REPEAT("bbbbbbbbbbbbbbbb", -1),
	END};
	static const Step no_line[] =
	{READ_ALL, SEND("HTTP/1.1 200 "), REPEAT("bbbbbbbbbbbbbbbb", -1), END};
	static const Step body[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\n\r\n"), REPEAT("bbbbbbbbbbbbbbbb", -1),
	END};
	static const Step chunks[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
	REPEAT("1\r\nb\r\n", -1), END};
	static const Step extensions[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"),
	REPEAT("bbbbbbbbbbbbbbbb", -1), END};
	static const Step trailers[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
	REPEAT("A: b\r\n", -1), END};
	static const Step hundred_mb[] =
	{READ_ALL, SEND("HTTP/1.1 500 Oops\r\nContent-Length: 104857600\r\n\r\n"),
	REPEAT("bbbbbbbbbbbbbbbb", -1), END};
	static const Step slow_body[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"),
		DRIP("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
			 100), END};
	static const Step slow_head[] =
	{READ_ALL, DRIP("HTTP/1.1 200 OK OK OK OK OK OK OK OK OK OK OK", 100),
	END};
	int64_t		t0 = now_ms();

	script_gives(interims, HTTP_AMBIGUOUS, 0, "1xx for ever");
	ok(res.curl_code != 28, "ended early: %s", res.error);
	script_gives(headers, HTTP_STATUS, 200, "headers for ever");
	ok(res.curl_code != 28, "ended early: %s", res.error);
	script_gives(before, HTTP_AMBIGUOUS, 0, "headers of a 102 for ever");
	script_gives(long_headers, HTTP_STATUS, 200, "long headers for ever");
	script_gives(one_line, HTTP_STATUS, 200, "one header for ever");
	script_gives(no_line, HTTP_AMBIGUOUS, 0, "a status line for ever");
	script_gives(body, HTTP_STATUS, 200, "a body for ever");
	ok(res.body_truncated && res.body_len == 65536, "cut: %s", res.error);
	script_gives(chunks, HTTP_STATUS, 200, "chunks for ever");
	script_gives(extensions, HTTP_STATUS, 200, "a chunk extension for ever");
	script_gives(trailers, HTTP_STATUS, 200, "trailers for ever");
	script_gives(hundred_mb, HTTP_STATUS, 500, "100 MB");
	ok(res.body_truncated && res.body_len == 65536, "cut: %s", res.error);
	diag("%lld ms for the floods", (long long) (now_ms() - t0));
	script_gives(slow_body, HTTP_STATUS, 200, "a body byte by byte");
	ok(res.curl_code == 28 && res.elapsed_us < 2500000,
	   "ended by time-out after %lld ms", (long long) res.elapsed_us / 1000);
	script_gives(slow_head, HTTP_AMBIGUOUS, 0, "a head byte by byte");
	ok(res.curl_code == 28 && res.elapsed_us < 2500000,
	   "ended by time-out after %lld ms", (long long) res.elapsed_us / 1000);
}

/* Answers that come before the request was read. */
static void
test_early_answers(void)
{
	static const Step refuse[] =
	{READ_HEAD, SEND("HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n"
					 "Connection: close\r\n\r\n"), SLEEP(200), END};
	static const Step fail[] =
	{READ_HEAD, SEND("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n"
					 "Connection: close\r\n\r\n"), RESET};
	static const Step unasked[] = {
		SEND(OK), SLEEP(300), READ_ALL, SEND(OK), KEEP
	};
	static const Step unasked_500[] =
	{SEND("HTTP/1.1 500 Busy\r\nContent-Length: 0\r\n\r\n"), SLEEP(100), END};
	static const Step close_at_once[] = {END};
	static const Step reset_at_once[] = {RESET};
	static const Step reset_after_head[] = {READ_HEAD, RESET};
	static const Step begin_to_answer[] =
	{READ_HEAD, SEND("HTTP/1.1 100 Continue\r\n\r\n"), SLEEP(100), RESET};
	Try			t;
	int			i;
	int			odd = 0;

	memset(&t, 0, sizeof(t));
	t.body_len = 8000000;
	t.body = calloc(1, t.body_len);
	memcpy((char *) t.body, "MARK", 4);
	t.total_ms = 1500;

	rude_script(&server, refuse, NULL);
	ln_http_forget_connections(client);
	go(&t);
	result_is(HTTP_STATUS, 413, "413 in the middle of a large body");
	rude_script(&server, fail, NULL);
	ln_http_forget_connections(client);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "500 and reset in the middle of a large body");
	ok(rude_marked(&server) == 0 && journal == 1,
	   "which no server has, though the journal cannot know: %s", res.error);

	/* what only half left begins anew over a kept connection that was dead */
	t.total_ms = 15000;
	rude_script(&server, reset_after_head, NULL);
	ln_http_forget_connections(client);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "a reset in the middle of a large body");
	is_int(rude_connections(&server), 1, "no other connection is tried");
	rude_script(&server, good, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "a connection that is kept");
	rude_script(&server, begin_to_answer, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "it begins to answer, and is reset");
	ok(!res.new_connection && rude_connections(&server) == 0,
	   "nor then: %d new ones", rude_connections(&server));
	t.total_ms = 1500;
	free((char *) t.body);
	t.body = NULL;

	/* races: what came first is open, the promises are not */
	for (i = 0; i < 20; i++)
	{
		const Step *scripts[] = {unasked, unasked_500, close_at_once,
		reset_at_once, reset_after_head};

		ln_http_forget_connections(client);
		rude_script(&server, scripts[i % 5], NULL);
		go(&t);
		if (res.verdict == HTTP_NOT_SENT && res.error[0] == '\0')
			odd++;
	}
	is_int(odd, 0, "answers before the request, and connections that close");
}

/* ---------- connections ---------- */

/* Open n idle connections. */
static void
warm_up(int n)
{
	static const Step slow[] = {READ_ALL, SLEEP(150), SEND(OK), KEEP};
	Try			t;
	char		err[200];
	int			i;

	memset(&t, 0, sizeof(t));
	t.body = "warm";
	t.body_len = 4;
	rude_script(&server, slow, NULL);
	for (i = 0; i < n; i++)
		add(&t, (uint64_t) i, err, sizeof(err));
	for (i = 0; i < n; i++)
		drive(5000);
	if (rude_connections(&server) != n)
		ok(false, "%d connections instead of %d", rude_connections(&server),
		   n);
}

/*
 * The experiment: kept-alive connections, one marked POST, and a server that
 * reads it completely and then drops the connection.
 */
static void
test_copies(void)
{
	static const Step drop_fin[] = {READ_ALL, END};
	static const Step drop_rst[] = {READ_ALL, RESET};
	static const Step gone_fin[] = {READ_ALL, UNLISTEN, END};
	static const Step gone_rst[] = {READ_ALL, UNLISTEN, RESET};
	static const Step head_fin[] = {READ_HEAD, END};
	static const Step head_rst[] = {READ_HEAD, RESET};
	static const struct
	{
		const char *name;
		const Step *first;
		const Step *then;
		int			copies;		/* -1 = 0 or 1 */
	}			cases[] =
	{
		{"FIN, next connection answers", drop_fin, good, 1},
		{"RST, next connection answers", drop_rst, good, 1},
		{"FIN, every connection drops it", drop_fin, drop_fin, 1},
		{"RST, every connection drops it", drop_rst, drop_rst, 1},
		{"FIN, and it stops listening", gone_fin, gone_fin, 1},
		{"RST, and it stops listening", gone_rst, gone_rst, 1},
		{"FIN after the head, next answers", head_fin, good, -1},
		{"RST after the head, next answers", head_rst, good, -1},
	};
	static const int idle[] = {0, 1, 8};
	HttpClient *saved = client;
	size_t		i;
	size_t		k;
	int			round;

	diag("copies received; idle connections; what libcurl said");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		for (k = 0; k < sizeof(idle) / sizeof(idle[0]); k++)
		{
			int			least = 99;
			int			most = 0;
			int			codes[3] = {0, 0, 0};
			int			wrong = 0;

			for (round = 0; round < 3; round++)
			{
				Try			t;
				int			copies;

				memset(&t, 0, sizeof(t));
				rude_start(&server, NULL);
				client = new_client(16, 16, 30);
				if (idle[k] > 0)
					warm_up(idle[k]);
				rude_script(&server, cases[i].first, cases[i].then, NULL);
				go(&t);
				usleep(30000);	/* anything that is still on its way */
				copies = rude_marked(&server);
				if (copies < least)
					least = copies;
				if (copies > most)
					most = copies;
				codes[round] = res.curl_code;
				if (cases[i].copies == 1 && (res.verdict != HTTP_AMBIGUOUS ||
											 journal != 1))
					wrong++;
				if (res.verdict == HTTP_STATUS && copies != 1)
					wrong++;
				ln_http_destroy(client);
				rude_stop(&server);
			}
			ok(wrong == 0 && most <= 1 &&
			   (cases[i].copies < 0 || least == cases[i].copies),
			   "%s, %d idle: %d to %d copies, curl %d %d %d", cases[i].name,
			   idle[k], least, most, codes[0], codes[1], codes[2]);
		}
	}
	client = saved;
}

/*
 * Idle connections that the server closed meanwhile: noticed before they are
 * used, also when nobody looked at the client in between.
 */
static void
test_closed_meanwhile(void)
{
	static const Step soon_fin[] = {
		READ_ALL, SLEEP(150), SEND(OK), SLEEP(100), END
	};
	static const Step soon_rst[] = {
		READ_ALL, SLEEP(150), SEND(OK), SLEEP(100), RESET
	};
	static const Step soon_408[] =
	{READ_ALL, SLEEP(150), SEND(OK), SLEEP(100),
		SEND("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n"
			 "Connection: close\r\n\r\n"), END};
	const Step *scripts[] = {soon_fin, soon_rst, soon_408};
	static const char *const names[] = {"FIN", "RST", "408"};
	HttpClient *saved = client;
	int			k;
	int			looked;

	for (k = 0; k < 3; k++)
	{
		for (looked = 0; looked <= 1; looked++)
		{
			Try			t;
			char		err[200];
			int			good_ones = 0;
			int			i;

			memset(&t, 0, sizeof(t));
			client = new_client(16, 16, 30);
			rude_script(&server, scripts[k], NULL);
			for (i = 0; i < 8; i++)
				add(&t, 1, err, sizeof(err));
			for (i = 0; i < 8; i++)
				drive(3000);
			if (looked)
				drive(200);
			else
				usleep(200000);
			rude_script(&server, good, NULL);
			for (i = 0; i < 12; i++)
				add(&t, 1, err, sizeof(err));
			for (i = 0; i < 12 && drive(3000); i++)
				good_ones += res.verdict == HTTP_STATUS && res.status == 200;
			is_int(good_ones, 12, looked ? names[k] :
				   "the same, and nobody looked");
			is_int(rude_marked(&server), 12, "each arrived once");
			ln_http_destroy(client);
		}
	}
	client = saved;
}

static void
test_no_connection(void)
{
	Try			t;
	struct sockaddr_in addr;
	socklen_t	len = sizeof(addr);
	int			fd;
	int			fillers[16];
	int			i;
	static const Step mute[] = {STALL};

	memset(&t, 0, sizeof(t));
	rude_script(&server, good, NULL);

	/* a port where nobody listens */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(fd, (struct sockaddr *) &addr, sizeof(addr));
	getsockname(fd, (struct sockaddr *) &addr, &len);
	t.port = ntohs(addr.sin_port);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "nobody listens");
	ok(journal == 0 && strlen(res.error) > 0, "%s", res.error);
	t.get = true;
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "likewise for a GET");
	t.get = false;

	/* a full queue of connections: the SYN is never answered */
	listen(fd, 0);
	for (i = 0; i < 16; i++)
	{
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fillers[i], (struct sockaddr *) &addr, sizeof(addr));
	}
	usleep(20000);
	t.connect_ms = 300;
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "the connection never stands");
	ok(res.elapsed_us > 250000 && res.elapsed_us < 1500000,
	   "connect time-out after %lld ms", (long long) res.elapsed_us / 1000);
	for (i = 0; i < 16; i++)
		close(fillers[i]);
	close(fd);

	/* names */
	t.port = 0;
	t.host = "no-such-host.invalid";
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "a name that does not resolve");
	t.host = "bad..name";
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "a malformed name");

	/* a connection, and then silence */
	memset(&t, 0, sizeof(t));
	t.total_ms = 300;
	ln_http_forget_connections(client);
	rude_script(&server, mute, NULL);
	go(&t);
	result_is(HTTP_AMBIGUOUS, 0, "silence after the request");
	ok(res.elapsed_us > 250000 && res.elapsed_us < 1500000,
	   "total time-out after %lld ms", (long long) res.elapsed_us / 1000);
}

/*
 * A name server that does not answer.  This takes the place of the C library's
 * function in the whole program.
 */
static volatile int resolver_mask_ok = -1;
static const char *volatile moving_to = "127.0.0.1";

int
getaddrinfo(const char *node, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	static int	(*real) (const char *, const char *, const struct addrinfo *,
						 struct addrinfo **);

	if (real == NULL)
		real = (int (*) (const char *, const char *, const struct addrinfo *,
						 struct addrinfo **)) (uintptr_t) dlsym(RTLD_NEXT,
																"getaddrinfo");
	if (node != NULL && strcmp(node, "moving.example") == 0)
		return real(moving_to, service, hints, result);
	if (node != NULL && strcmp(node, "slow.example") == 0)
	{
		sigset_t	mask;

		pthread_sigmask(SIG_BLOCK, NULL, &mask);
		resolver_mask_ok = sigismember(&mask, SIGUSR1) == 1 &&
			sigismember(&mask, SIGURG) == 1 &&
			sigismember(&mask, SIGALRM) == 1 &&
			sigismember(&mask, SIGTERM) == 1 &&
			sigismember(&mask, SIGHUP) == 1;
		sleep(3);
		return EAI_AGAIN;
	}
	return real(node, service, hints, result);
}

static void
test_slow_resolver(void)
{
	/* since libcurl 7.87; before, its end waits for the resolver */
	bool		quick_exit = strverscmp(ln_http_version(),
										"libcurl/7.87") >= 0;
	Try			t;
	sigset_t	mask;
	int64_t		t0 = now_ms();
	HttpClient *saved = client;
	char		err[200];

	memset(&t, 0, sizeof(t));
	t.host = "slow.example";
	t.connect_ms = 300;
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "a name server that does not answer");
	ok(now_ms() - t0 < 1500 || !quick_exit, "does not hold us up: %lld ms",
	   (long long) (now_ms() - t0));
	is_int(resolver_mask_ok, 1, "the resolver's thread takes no signals");
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	ok(!sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGTERM),
	   "our own mask is as before");

	client = new_client(2, 2, 10);
	t0 = now_ms();
	t.connect_ms = 5000;
	add(&t, 1, err, sizeof(err));
	drive(100);
	ln_http_abort_all(client);
	ok(drive(100) && res.verdict == HTTP_NOT_SENT && res.aborted,
	   "aborted while resolving");
	add(&t, 1, err, sizeof(err));
	drive(100);
	ln_http_destroy(client);
	ok(now_ms() - t0 < 1500 || !quick_exit,
	   "abort and destroy do not wait: %lld ms", (long long) (now_ms() - t0));
	client = saved;
	sleep(4);					/* the threads end */
}

static void
test_abort(void)
{
	static const Step stall[] = {READ_ALL, STALL};
	static const Step stall_body[] =
	{READ_ALL, SEND("HTTP/1.1 422 No\r\nContent-Length: 5\r\n\r\n"), STALL};
	HttpClient *saved = client;
	Try			t;
	char		err[200];
	int			got[4] = {0, 0, 0, 0};
	int64_t		t0;
	int			i;

	memset(&t, 0, sizeof(t));
	client = new_client(8, 8, 10);
	ln_http_abort_all(client);
	ok(!ln_http_next(client, &res), "nothing to abort");

	rude_script(&server, stall, stall_body, NULL);
	add(&t, 1, err, sizeof(err));
	drive(150);
	add(&t, 2, err, sizeof(err));
	drive(150);
	add(&t, 3, err, sizeof(err));	/* never started */
	t0 = now_ms();
	ln_http_abort_all(client);
	while (ln_http_next(client, &res))
	{
		got[0]++;
		if (!res.aborted)
			continue;
		if (res.tag == 1 && res.verdict == HTTP_AMBIGUOUS)
			got[1]++;
		if (res.tag == 2 && res.verdict == HTTP_STATUS && res.status == 422)
			got[2]++;
		if (res.tag == 3 && res.verdict == HTTP_NOT_SENT)
			got[3]++;
	}
	ok(now_ms() - t0 < 500, "abort is quick");
	is_int(got[0], 3, "three results");
	is_int(got[1], 1, "sent and silent: ambiguous");
	is_int(got[2], 1, "status without body: the status");
	is_int(got[3], 1, "not started: not sent");
	ok(ln_http_active(client) == 0 && ln_http_free(client) == 8, "all free");

	rude_script(&server, good, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "and the client goes on");

	/* destroyed with everything under way */
	rude_script(&server, stall, NULL);
	for (i = 0; i < 8; i++)
	{
		add(&t, 1, err, sizeof(err));
		if (i % 3 == 0)
			drive(50);
	}
	t0 = now_ms();
	ln_http_destroy(client);
	ok(now_ms() - t0 < 500, "destroy is quick");
	client = saved;
}

static void
test_forget(void)
{
	static const Step slow[] = {READ_ALL, SLEEP(300), SEND(OK), KEEP};
	HttpClient *saved = client;
	Try			t;
	char		err[200];
	int			i;

	memset(&t, 0, sizeof(t));
	client = new_client(8, 8, 10);
	rude_script(&server, good, NULL);
	go(&t);
	ln_http_forget_connections(client);
	rude_script(&server, good, NULL);
	go(&t);
	ok(res.new_connection, "after forget, a new connection");
	rude_script(&server, good, NULL);
	go(&t);
	ok(!res.new_connection, "which is kept");

	rude_script(&server, slow, NULL);
	add(&t, 1, err, sizeof(err));
	drive(50);
	for (i = 0; i < 20; i++)
		ln_http_forget_connections(client);
	add(&t, 2, err, sizeof(err));
	ok(drive(3000) && res.verdict == HTTP_STATUS && res.tag == 1,
	   "a running transfer ends on its connection");
	ok(drive(3000) && res.verdict == HTTP_STATUS && res.tag == 2 &&
	   res.new_connection, "a new one does not use it");

	rude_script(&server, slow, NULL);
	add(&t, 3, err, sizeof(err));
	drive(50);
	ln_http_forget_connections(client);
	ok(drive(3000) && res.verdict == HTTP_STATUS && res.tag == 3,
	   "another that was running");
	rude_script(&server, good, NULL);
	go(&t);
	ok(res.new_connection, "nor does one that comes when that has ended");
	ln_http_destroy(client);
	client = saved;
}

static int
open_fds(void)
{
	DIR		   *d = opendir("/proc/self/fd");
	int			n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* ---------- TLS ---------- */

static void
test_tls(void)
{
	static const Step drop[] = {READ_ALL, END};
	static const Step garbage[] = {
		SEND("HTTP/1.1 400 Bad\r\n\r\n"), SLEEP(100), END
	};
	static const Step mute[] = {STALL};
	static const Step half[] = {
		SEND("\x16\x03\x03\x00\x50\x02\x00"), SLEEP(100), RESET
	};
	RudeServer	tls;
	SSL_CTX    *ctx;
	SSL_CTX    *other;
	char		ca[200];
	char		other_ca[200];
	Try			t;

	snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	snprintf(other_ca, sizeof(other_ca), "%s/other.pem", dir);
	ctx = rude_tls("127.0.0.1", -3600, 3600, ca);
	other = rude_tls("localhost", -3600, 3600, other_ca);

	memset(&t, 0, sizeof(t));
	t.scheme = "https";
	rude_start(&tls, ctx);
	rude_script(&tls, good, NULL);
	judged = &tls;
	t.port = tls.port;

	t.ca_file = ca;
	rude_script(&tls, good, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "TLS with our CA");
	t.ca_file = NULL;
	rude_script(&tls, good, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "the same without it: unknown authority");
	diag("%s", res.error);
	t.ca_file = other_ca;
	rude_script(&tls, good, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "another authority");
	t.ca_file = "/nonexistent/ca.pem";
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "a CA file that is not there");
	diag("%s", res.error);
	t.ca_file = ca;
	t.host = "localhost";
	rude_script(&tls, good, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "another name than in the certificate");
	diag("%s", res.error);
	t.host = NULL;
	rude_script(&tls, good, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "and still works with the right one");
	rude_script(&tls, drop, NULL);
	go(&t);
	result_is(HTTP_AMBIGUOUS, 0, "TLS, read and dropped");
	rude_stop(&tls);
	SSL_CTX_free(ctx);

	ctx = rude_tls("127.0.0.1", -7200, -3600, ca);
	rude_start(&tls, ctx);
	rude_script(&tls, good, NULL);
	t.port = tls.port;
	t.ca_file = ca;
	ln_http_forget_connections(client);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "an expired certificate");
	diag("%s", res.error);
	rude_stop(&tls);
	SSL_CTX_free(ctx);

	ctx = rude_tls("127.0.0.1", -3600, 3600, ca);
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	rude_start(&tls, ctx);
	rude_script(&tls, good, NULL);
	t.port = tls.port;
	ln_http_forget_connections(client);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "TLS 1.1 only");
	diag("%s", res.error);
	rude_stop(&tls);
	SSL_CTX_free(ctx);

	/* a CA file that changed: read again after forget */
	ctx = rude_tls("127.0.0.1", -3600, 3600, ca);
	rude_start(&tls, ctx);
	rude_script(&tls, good, NULL);
	t.port = tls.port;
	ln_http_forget_connections(client);
	go(&t);
	result_is(HTTP_STATUS, 200, "a CA file that changed");
	rude_stop(&tls);
	SSL_CTX_free(ctx);

	/* no TLS at all on the other side */
	rude_start(&tls, NULL);
	t.port = tls.port;
	t.connect_ms = 300;
	rude_script(&tls, garbage, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "plain HTTP on a TLS port");
	rude_script(&tls, mute, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "a handshake that stalls");
	ok(res.elapsed_us < 1500000, "connect time-out covers TLS: %lld ms",
	   (long long) res.elapsed_us / 1000);
	rude_script(&tls, half, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "half a handshake and a reset");
	rude_stop(&tls);

	SSL_CTX_free(other);
	judged = &server;
}

/* ---------- proxies ---------- */

static void
test_proxy(void)
{
	static const Step tunnel[] = {READ_HEAD, TUNNEL};
#define CONNECT(name, text) \
	static const Step name[] = {READ_HEAD, SEND(text), END}
	CONNECT(c407, "HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\n"
			"Content-Length: 0\r\n\r\n");
	CONNECT(c502, "HTTP/1.1 502 No\r\nContent-Length: 3\r\n\r\nabc");
	CONNECT(c503,
			"HTTP/1.1 503 No\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n");
	CONNECT(c302, "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1/\r\n"
			"Content-Length: 0\r\n\r\n");
	CONNECT(cclose, "");
	CONNECT(cgarbage, "\0\xff garbage\r\n\r\n");
	CONNECT(cthen_nothing, "HTTP/1.1 200 OK\r\n\r\n");
	CONNECT(cthen_status, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n"
			"Content-Length: 0\r\n\r\n");
	CONNECT(c404_tail, "HTTP/1.1 404 No\r\nContent-Length: 19\r\n\r\n"
			"HTTP/1.1 200 OK\r\n\r\n");
	static const Step cstall[] = {READ_HEAD, STALL};
	static const Step creset[] = {READ_HEAD, RESET};
	static const Step cflood[] =
	{READ_HEAD, SEND("HTTP/1.1 200 OK\r\n"), REPEAT("A: b\r\n", -1), END};
	static const Step cinterim[] =
	{READ_HEAD, REPEAT("HTTP/1.1 100 Continue\r\n\r\n", -1), END};
	static const struct
	{
		const Step *script;
		const char *name;
	}			cases[] =
	{
		{c407, "407 at CONNECT"},
		{c502, "502 at CONNECT"},
		{c503, "503 at CONNECT"},
		{c302, "302 at CONNECT"},
		{cclose, "the proxy closes"},
		{cgarbage, "the proxy talks nonsense"},
		{cthen_nothing, "a tunnel that leads nowhere"},
		{cthen_status, "a tunnel with a status line in it"},
		{c404_tail, "404 with a status line as body"},
		{cstall, "the proxy says nothing"},
		{creset, "the proxy resets"},
		{cflood, "headers for ever at CONNECT"},
		{cinterim, "1xx for ever at CONNECT"},
	};
	static const Step reply_500[] =
	{READ_ALL, SEND("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), KEEP};
	static const Step drop[] = {READ_ALL, END};
	HttpClient *saved = client;
	RudeServer	proxy;
	RudeServer	tls;
	SSL_CTX    *ctx;
	char		ca[200];
	char		proxy_url[200];
	Try			t;
	size_t		i;

	snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
	ctx = rude_tls("127.0.0.1", -3600, 3600, ca);
	rude_start(&tls, ctx);
	rude_start(&proxy, NULL);
	client = new_client(4, 4, 10);
	snprintf(proxy_url, sizeof(proxy_url), "http://127.0.0.1:%d", proxy.port);

	memset(&t, 0, sizeof(t));
	t.scheme = "https";
	t.port = tls.port;
	t.ca_file = ca;
	t.proxy = proxy_url;
	t.connect_ms = 500;

	judged = &tls;
	rude_script(&tls, good, NULL);
	rude_script(&proxy, tunnel, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "through a tunnel");
	is_int(rude_marked(&tls), 1, "arrived");
	ok(strncmp(proxy.last_head, "CONNECT ", 8) == 0 &&
	   strcasestr(proxy.last_head, "authorization") == NULL &&
	   strstr(proxy.last_head, "SECRET") == NULL &&
	   strcasestr(proxy.last_head, "delivery-tag") == NULL,
	   "the proxy sees no header of ours");
	rude_script(&tls, reply_500, NULL);
	go(&t);
	result_is(HTTP_STATUS, 500, "a status through the tunnel");
	ok(!res.new_connection, "which is kept alive");
	rude_script(&tls, drop, NULL);
	go(&t);
	result_is(HTTP_AMBIGUOUS, 0, "read and dropped behind the tunnel");
	is_int(rude_marked(&tls), 1, "once");

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		ln_http_forget_connections(client);
		rude_script(&proxy, cases[i].script, NULL);
		rude_script(&tls, good, NULL);
		go(&t);
		result_is(HTTP_NOT_SENT, 0, cases[i].name);
		ok(journal == 0 && rude_marked(&tls) == 0 &&
		   res.retry_after_ms == -1 && strlen(res.error) > 0, "%s", res.error);
	}

	/* plain HTTP has a tunnel as well: the proxy's 502 is not the server's */
	t.scheme = "http";
	t.port = server.port;
	t.ca_file = NULL;
	ln_http_forget_connections(client);
	judged = &server;
	rude_script(&server, good, NULL);
	rude_script(&proxy, tunnel, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "plain HTTP through a tunnel");
	ok(strncmp(proxy.last_head, "CONNECT ", 8) == 0 &&
	   strstr(proxy.last_head, "SECRET") == NULL,
	   "of which the proxy sees nothing");
	ln_http_forget_connections(client);
	rude_script(&server, good, NULL);
	rude_script(&proxy, c502, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "plain HTTP: 502 at CONNECT");
	rude_stop(&proxy);
	judged = &server;
	rude_script(&server, good, NULL);
	ln_http_forget_connections(client);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "a proxy that is not there");

	/* the environment does not count */
	setenv("http_proxy", proxy_url, 1);
	setenv("HTTP_PROXY", proxy_url, 1);
	setenv("https_proxy", proxy_url, 1);
	setenv("all_proxy", proxy_url, 1);
	t.proxy = NULL;
	t.port = server.port;
	go(&t);
	result_is(HTTP_STATUS, 200, "proxies of the environment are ignored");
	/* also by a handle that never had one of its own */
	ln_http_destroy(client);
	client = new_client(4, 4, 10);
	rude_script(&server, good, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "from the first request on");
	setenv("no_proxy", "127.0.0.1,*", 1);
	t.proxy = proxy_url;
	rude_script(&server, good, NULL);
	go(&t);
	result_is(HTTP_NOT_SENT, 0, "and so are its exceptions");
	unsetenv("http_proxy");
	unsetenv("HTTP_PROXY");
	unsetenv("https_proxy");
	unsetenv("all_proxy");
	unsetenv("no_proxy");

	ln_http_destroy(client);
	rude_stop(&tls);
	SSL_CTX_free(ctx);
	client = saved;
}

/* TLS to the proxy: it is verified as a server is, by the CA file. */
static void
test_tls_proxy(void)
{
	static const Step tunnel[] = {READ_HEAD, TUNNEL, END};
	static const struct
	{
		const char *certified;
		bool		other_ca;
		HttpVerdict verdict;
		const char *name;
	}			cases[] =
	{
		{"127.0.0.1", false, HTTP_STATUS, "a proxy over TLS"},
		{"127.0.0.1", true, HTTP_NOT_SENT, "a proxy of another authority"},
		{"localhost", false, HTTP_NOT_SENT, "a proxy with another name"},
	};
	HttpClient *saved = client;
	char		ca[200];
	char		other_ca[200];
	size_t		i;

	snprintf(ca, sizeof(ca), "%s/proxy.pem", dir);
	snprintf(other_ca, sizeof(other_ca), "%s/other_proxy.pem", dir);
	SSL_CTX_free(rude_tls("127.0.0.1", -3600, 3600, other_ca));
	client = new_client(4, 4, 10);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		SSL_CTX    *ctx = rude_tls(cases[i].certified, -3600, 3600, ca);
		RudeServer	proxy;
		char		proxy_url[200];
		Try			t;

		rude_start(&proxy, ctx);
		rude_script(&proxy, tunnel, NULL);
		rude_script(&server, good, NULL);
		snprintf(proxy_url, sizeof(proxy_url), "https://127.0.0.1:%d",
				 proxy.port);
		memset(&t, 0, sizeof(t));
		t.proxy = proxy_url;
		t.ca_file = cases[i].other_ca ? other_ca : ca;
		t.connect_ms = 1500;
		go(&t);
		result_is(cases[i].verdict,
				  cases[i].verdict == HTTP_STATUS ? 200 : 0, cases[i].name);
		diag("%s", res.error);
		ln_http_forget_connections(client);
		rude_stop(&proxy);
		SSL_CTX_free(ctx);
	}
	ln_http_destroy(client);
	client = saved;
}

/* ---------- whose silence ---------- */

/*
 * The C library's functions, with a pause after one call of them: what arrives
 * in it comes after the client has looked.
 */
static volatile int pause_after_epoll_ms = 0;
static volatile int pause_after_poll_ms = 0;

int
epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	static int	(*real) (int, struct epoll_event *, int, int);
	int			n;
	int			ms = pause_after_epoll_ms;

	if (real == NULL)
		real = (int (*) (int, struct epoll_event *, int, int)) (uintptr_t)
			dlsym(RTLD_NEXT, "epoll_wait");
	n = real(epfd, events, max, timeout);
	if (ms > 0)
	{
		pause_after_epoll_ms = 0;
		usleep((useconds_t) ms * 1000);
	}
	return n;
}

int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec ts = {timeout / 1000, (timeout % 1000) * 1000000L};
	int			result = ppoll(fds, n, timeout < 0 ? NULL : &ts, NULL);
	int			ms = pause_after_poll_ms;

	if (ms > 0 && timeout == 0)
	{
		pause_after_poll_ms = 0;
		usleep((useconds_t) ms * 1000);
	}
	return result;
}

/* Nobody looks at the client for so long. */
static void
stand_still(int ms)
{
	usleep((useconds_t) ms * 1000);
}

/*
 * This process stood still for longer than the time-out, while the answer lay
 * in the kernel: it counts.  Only where there is none is it silence.
 */
static void
test_our_own_stall(void)
{
	static const Step slow[] = {READ_ALL, SLEEP(100), SEND(OK), KEEP};
	static const Step slower[] = {READ_ALL, SLEEP(600), SEND(OK), KEEP};
	static const Step mute[] = {READ_ALL, STALL};
	static const Step half[] =
	{READ_ALL, SEND("HTTP/1.1 422 No\r\nContent-Le"), STALL};
	HttpClient *saved = client;
	Try			t;
	char		err[200];
	int			answered = 0;
	int			silent = 0;
	int			cut = 0;
	int			i;

	memset(&t, 0, sizeof(t));
	t.total_ms = 5000;
	client = new_client(400, 400, 10);

	/* more of them than one look at the sockets takes */
	rude_script(&server, slower, NULL);
	for (i = 0; i < 300; i++)
		add(&t, (uint64_t) i, err, sizeof(err));
	for (i = 0; i < 300; i++)
		drive(6000);
	t.total_ms = 400;
	rude_script(&server, slow, NULL);
	for (i = 0; i < 300; i++)
		add(&t, (uint64_t) i, err, sizeof(err));
	ln_http_step(client);
	stand_still(900);
	for (i = 0; i < 300 && drive(3000); i++)
	{
		answered += res.verdict == HTTP_STATUS && res.status == 200;
		silent += res.verdict == HTTP_AMBIGUOUS;
	}
	ok(answered > 0 && silent == 0,
	   "answers came while we stood still: %d, called silence: %d", answered,
	   silent);
	silent = 0;

	rude_script(&server, slow, mute, slow, half, slow, mute, slow, half, NULL);
	for (i = 0; i < 8; i++)
		add(&t, (uint64_t) i, err, sizeof(err));
	ln_http_step(client);
	stand_still(900);
	answered = 0;
	for (i = 0; i < 8 && drive(3000); i++)
	{
		answered += res.verdict == HTTP_STATUS && res.status == 200;
		silent += res.verdict == HTTP_AMBIGUOUS && res.curl_code == 28;
		cut += res.verdict == HTTP_STATUS && res.status == 422 &&
			res.curl_code == 28;
	}
	ok(answered == 4 && silent == 2 && cut == 2,
	   "silence is where nothing came: %d answered, %d silent, %d cut",
	   answered, silent, cut);

	/* what comes after the sockets were served, at the very end */
	rude_script(&server, slow, NULL);
	t.total_ms = 250;
	add(&t, 1, err, sizeof(err));
	ln_http_step(client);
	pause_after_epoll_ms = 500;
	ln_http_step(client);
	ok(drive(1000) && res.verdict == HTTP_STATUS && res.status == 200 &&
	   res.elapsed_us > 250000, "a last look before it is silence: %s",
	   res.error);
	t.total_ms = 400;

	/* the same for those that are aborted */
	rude_script(&server, slow, mute, slow, mute, NULL);
	for (i = 0; i < 4; i++)
		add(&t, (uint64_t) i, err, sizeof(err));
	ln_http_step(client);
	stand_still(300);
	ln_http_abort_all(client);
	answered = silent = 0;
	for (i = 0; i < 4 && drive(100); i++)
	{
		answered += res.verdict == HTTP_STATUS && res.status == 200 &&
			!res.aborted;
		silent += res.verdict == HTTP_AMBIGUOUS && res.aborted;
	}
	ok(answered == 2 && silent == 2,
	   "what was answered is not aborted: %d answered, %d aborted", answered,
	   silent);

	/* it stood still before it began to send: late, and not sent at all */
	rude_script(&server, good, NULL);
	journal = 0;
	add(&t, 1, err, sizeof(err));
	stand_still(600);
	ok(drive(1000) && res.verdict == HTTP_NOT_SENT && journal == 0 &&
	   rude_heads(&server) == 0, "too late to begin: %s", res.error);
	ln_http_destroy(client);
	client = saved;
}

/*
 * libcurl closes connections that it thinks idle when something arrived on
 * them, whenever it makes another one.  An unread answer survives that.
 */
static void
test_unread_answer(void)
{
	static const Step slow[] = {READ_ALL, SLEEP(150), SEND(OK), KEEP};
	HttpClient *saved = client;
	Try			t;
	char		err[200];
	int			good_ones = 0;
	int			i;

	memset(&t, 0, sizeof(t));
	client = new_client(8, 8, 10);
	rude_script(&server, good, NULL);
	go(&t);
	stand_still(1100);			/* it looks once a second */
	rude_script(&server, slow, good, NULL);
	add(&t, 1, err, sizeof(err));
	ln_http_step(client);
	add(&t, 2, err, sizeof(err));
	pause_after_epoll_ms = 400;
	for (i = 0; i < 2 && drive(3000); i++)
		good_ones += res.verdict == HTTP_STATUS && res.status == 200;
	is_int(good_ones, 2, "an unread answer survives another connect");
	is_int(pause_after_epoll_ms, 0, "it was unread");
	ln_http_destroy(client);
	client = saved;
}

/*
 * A connection that is reset between our last look and the first byte: nothing
 * was taken, so the request goes over another one.
 */
static void
test_reset_at_the_last_moment(void)
{
	static const Step soon_rst[] = {READ_ALL, SEND(OK), SLEEP(150), RESET};
	static const Step soon_fin[] = {READ_ALL, SEND(OK), SLEEP(150), END};
	static const Step soon_408[] =
	{READ_ALL, SEND(OK), SLEEP(150), SEND("HTTP/1.1 408 Idle\r\n"
										  "Content-Length: 0\r\n\r\n"), STALL};
	const Step *scripts[] = {soon_rst, soon_fin, soon_408};
	HttpClient *saved = client;
	Try			t;
	int			i;

	memset(&t, 0, sizeof(t));
	client = new_client(8, 8, 10);
	for (i = 0; i < 3; i++)
	{
		rude_script(&server, scripts[i], NULL);
		go(&t);
		rude_script(&server, good, NULL);
		pause_after_epoll_ms = 400;
		go(&t);
		result_is(HTTP_STATUS, 200, "spoiled after the sockets were served");
		ok(res.new_connection && rude_marked(&server) == 1 &&
		   pause_after_epoll_ms == 0, "it is not used");
		ln_http_forget_connections(client);
	}
	rude_script(&server, soon_rst, NULL);
	go(&t);
	rude_script(&server, good, NULL);
	pause_after_poll_ms = 400;
	go(&t);
	result_is(HTTP_STATUS, 200,
			  "reset at the last moment: over another connection");
	ok(pause_after_poll_ms == 0 && res.new_connection &&
	   rude_marked(&server) == 1, "once");
	ln_http_destroy(client);
	client = saved;
}

/* Answers before the request is there, by status; then no more is sent. */
static void
test_early_statuses(void)
{
	static const struct
	{
		int			status;
		HttpVerdict verdict;
	}			cases[] =
	{
		{200, HTTP_NOT_SENT}, {202, HTTP_NOT_SENT}, {302, HTTP_STATUS},
		{400, HTTP_STATUS}, {401, HTTP_STATUS}, {408, HTTP_NOT_SENT},
		{413, HTTP_STATUS}, {422, HTTP_STATUS}, {425, HTTP_NOT_SENT},
		{429, HTTP_STATUS}, {500, HTTP_NOT_SENT}, {503, HTTP_NOT_SENT},
	};
	Step		script[] = {
		READ_HEAD, {STEP_SEND, NULL, 0, 0}, WAIT, READ_ALL, END
	};
	char		text[200];
	Try			t;
	size_t		i;

	memset(&t, 0, sizeof(t));
	t.body_len = 12000000;
	t.body = calloc(1, t.body_len);
	memcpy((char *) t.body, "MARK", 4);
	t.total_ms = 4000;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		script[1].bytes = text;
		script[1].len = (size_t) snprintf(text, sizeof(text),
										  "HTTP/1.1 %d Early\r\n"
										  "Content-Length: 2\r\n\r\n{}",
										  cases[i].status);
		rude_script(&server, script, NULL);
		ln_http_forget_connections(client);
		go(&t);
		rude_resume(&server);
		ok(res.verdict == cases[i].verdict && journal == 1 &&
		   (res.verdict == HTTP_NOT_SENT || res.status == cases[i].status) &&
		   rude_quiet(&server) && rude_marked(&server) == 0,
		   "%d before the request was taken: %s, and it never is",
		   cases[i].status, res.verdict == HTTP_STATUS ? "it refuses" :
		   "not sent");
	}

	/* also while the answer is under way, and the server reads on */
	{
		static const Step begins[] =
		{READ_HEAD, SEND("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\n{"),
		SLEEP(100), READ_ALL, STALL};

		t.total_ms = 700;
		rude_script(&server, begins, NULL);
		ln_http_forget_connections(client);
		go(&t);
		result_is(HTTP_NOT_SENT, 0, "an early answer that does not end");
		ok(rude_quiet(&server) && rude_marked(&server) == 0,
		   "nothing is sent after its status line");
	}
	free((char *) t.body);
}

/* ---------- half a request ---------- */

/*
 * A server that stops reading, and goes on when we have given up.  What was
 * called not sent it must never have whole; with TLS, part of a record that is
 * encrypted already may lie in the library, and closing must not send it.
 */
static void
stops_reading(SSL_CTX * ctx, const char *ca, bool aborted)
{
	static const Step waits[] = {READ_HEAD, WAIT, READ_ALL, END};
	HttpClient *saved = client;
	RudeServer	s;
	Try			t;
	char		err[200];
	size_t		low = 1000;		/* taken whole */
	size_t		high = 16000000;	/* not taken whole */
	int			not_sent = 0;
	int			ambiguous = 0;
	int			lies = 0;
	int			missing = 0;
	int			i;

	rude_start_at(&s, ctx, "127.0.0.1", 0, 8192);
	client = new_client(2, 2, 10);
	memset(&t, 0, sizeof(t));
	t.scheme = ctx ? "https" : "http";
	t.ca_file = ca;
	t.port = s.port;
	t.total_ms = 10000;
	t.body = calloc(1, high);
	memcpy((char *) t.body, "MARK", 4);
	judged = &s;

	/* how much is taken, then what lies around that */
	for (i = 0; i < 31; i++)
	{
		bool		search = high - low > 20000;

		t.body_len = search ? (low + high) / 2
			: low - 16000 + (size_t) i * 1301;
		rude_script(&s, waits, NULL);
		journal = 0;
		add(&t, (uint64_t) i, err, sizeof(err));
		drive(search ? 100 : 40);
		if (aborted)
		{
			/* the way is free again, but we do not look */
			rude_resume(&s);
			stand_still(20);
			ln_http_abort_all(client);
			drive(100);
			if (!rude_quiet(&s))
				diag("a connection stays");
		}
		else
		{
			ln_http_abort_all(client);
			drive(100);
			rude_resume(&s);
			if (!rude_quiet(&s))
				diag("a connection stays");
		}
		if (search)
		{
			if (res.verdict == HTTP_NOT_SENT)
				high = t.body_len;
			else
				low = t.body_len;
			if (high - low <= 20000)
				i = 0;
		}
		judge();
		not_sent += res.verdict == HTTP_NOT_SENT;
		ambiguous += res.verdict == HTTP_AMBIGUOUS;
		lies += res.verdict == HTTP_NOT_SENT && rude_marked(&s) > 0;
		missing += res.verdict == HTTP_AMBIGUOUS && rude_marked(&s) == 0;
	}
	ok(lies == 0 && not_sent > 0 && ambiguous > 0,
	   "%s, %s: %d not sent, of which %d arrived",
	   ctx ? "TLS" : "plain", aborted ? "reads on before we close" :
	   "reads on afterwards", not_sent, lies);
	diag("%d ambiguous, of which %d did not arrive; a connection takes %zu bytes",
		 ambiguous, missing, low);

	/* and when it reads on in time, it gets everything */
	{
		static const Step in_time[] = {
			READ_HEAD, SLEEP(200), READ_ALL, SEND(OK), KEEP
		};

		t.body_len = 12000000;
		rude_script(&s, in_time, NULL);
		go(&t);
		result_is(HTTP_STATUS, 200, "a server that pauses gets everything");
		is_int((long long) s.body_bytes, 12000000, "all of it");
	}
	free((char *) t.body);
	judged = &server;
	ln_http_destroy(client);
	rude_stop(&s);
	client = saved;
}

static void
test_stops_reading(void)
{
	char		ca[200];
	SSL_CTX    *ctx;

	snprintf(ca, sizeof(ca), "%s/stops.pem", dir);
	ctx = rude_tls("127.0.0.1", -3600, 3600, ca);
	stops_reading(NULL, NULL, false);
	stops_reading(NULL, NULL, true);
	stops_reading(ctx, ca, false);
	stops_reading(ctx, ca, true);
	SSL_CTX_free(ctx);
}

/* ---------- how long a connection lives ---------- */

static void
test_lifetime(void)
{
	HttpClient *saved = client;
	RudeServer	there;
	Try			t;
	int64_t		end;
	int			made = 0;
	int			failed = 0;

	/* never idle, and yet it ends */
	memset(&t, 0, sizeof(t));
	lifetime_s = 1;
	client = new_client(4, 4, 10);
	rude_script(&server, good, NULL);
	for (end = now_ms() + 2600; now_ms() < end;)
	{
		rude_script(&server, good, NULL);
		go(&t);
		made += res.new_connection;
		failed += res.verdict != HTTP_STATUS;
	}
	ok(made >= 3 && made < 10 && failed == 0,
	   "a connection in steady use lives a second: %d in 2.6 s", made);

	/* so that a changed address is followed */
	moving_to = "127.0.0.1";
	t.host = "moving.example";
	rude_start_at(&there, NULL, "127.0.0.2", server.port,
				  RECEIVE_BUFFER);
	rude_script(&there, good, NULL);
	rude_script(&server, good, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "an address of a name");
	is_int(rude_marked(&there), 0, "the first one");
	moving_to = "127.0.0.2";
	failed = 0;
	for (end = now_ms() + 8000; now_ms() < end && rude_marked(&there) == 0;)
	{
		rude_script(&server, good, NULL);
		go(&t);
		failed += res.verdict != HTTP_STATUS;
	}
	ok(rude_marked(&there) > 0 && failed == 0,
	   "a changed address is followed");
	rude_stop(&there);
	ln_http_destroy(client);
	lifetime_s = 0;
	client = saved;
}

/* Requests until the verdict is this one, for some seconds at most. */
static bool
becomes(const Try * t, HttpVerdict verdict)
{
	int64_t		end = now_ms() + 8000;

	do
	{
		rude_script(judged, good, NULL);
		if (!go(t))
			return false;
		stand_still(20);
	} while (res.verdict != verdict && now_ms() < end);
	return res.verdict == verdict;
}

static void
test_tls_connections(void)
{
	static const Step ticket[] = {READ_ALL, SEND(OK), SLEEP(50), TICKET, KEEP};
	static const Step extra[] =
	{READ_ALL, SEND(OK), SEND("HTTP/1.1 422 Stolen\r\nContent-Length: 0\r\n\r\n"), KEEP};
	static const Step both[] =
	{READ_ALL, SEND(OK "HTTP/1.1 422 Stolen\r\nContent-Length: 0\r\n\r\n"),
	KEEP};
	HttpClient *saved = client;
	RudeServer	tls;
	SSL_CTX    *ctx;
	SSL_CTX    *other;
	char		ca[200];
	char		good_ca[200];
	char		other_ca[200];
	Try			t;
	int			i;

	snprintf(ca, sizeof(ca), "%s/follow.pem", dir);
	snprintf(good_ca, sizeof(good_ca), "%s/follow-good.pem", dir);
	snprintf(other_ca, sizeof(other_ca), "%s/follow-other.pem", dir);
	ctx = rude_tls("127.0.0.1", -3600, 3600, good_ca);
	other = rude_tls("127.0.0.1", -3600, 3600, other_ca);
	rude_start(&tls, ctx);
	judged = &tls;
	client = new_client(8, 8, 10);
	memset(&t, 0, sizeof(t));
	t.scheme = "https";
	t.port = tls.port;
	t.ca_file = good_ca;

	rude_script(&tls, ticket, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "TLS");
	is_str(tls.alpn, "http/1.1", "ALPN offers this only");
	for (i = 0; i < 3; i++)
	{
		if (i == 1)
			stand_still(120);	/* the ticket comes, and nobody looks */
		else
			drive(120);
		rude_script(&tls, ticket, NULL);
		go(&t);
		ok(res.verdict == HTTP_STATUS && !res.new_connection &&
		   rude_connections(&tls) == 0,
		   "a ticket does not spoil an idle connection");
	}

	rude_script(&tls, extra, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "TLS, an answer too many in another record");
	drive(50);
	rude_script(&tls, good, NULL);
	go(&t);
	not_stolen();
	rude_script(&tls, both, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "TLS, an answer too many in the same record");
	rude_script(&tls, good, NULL);
	go(&t);
	not_stolen();

	/* large answers, in records that fill a buffer or do not */
	{
		Step		large[] = {READ_ALL, {STEP_SEND, NULL, 0, 0}, KEEP};
		static char text[66000];
		size_t		sizes[] = {16000, 16384, 16385, 32768, 49152, 65000};

		for (i = 0; i < 6; i++)
		{
			size_t		n = (size_t) snprintf(text, sizeof(text),
											  "HTTP/1.1 400 Bad\r\n"
											  "Content-Length: %05zu\r\n\r\n",
											  sizes[i] - 42);

			memset(text + n, 'y', sizes[i] - n);
			large[1].bytes = text;
			large[1].len = sizes[i] - 42 + n;
			rude_script(&tls, large, NULL);
			go(&t);
			ok(res.status == 400 && res.body_len == sizes[i] - 42 &&
			   res.error[0] == '\0', "TLS, an answer of %zu bytes",
			   large[1].len);
			rude_script(&tls, good, NULL);
			go(&t);
			ok(!res.new_connection && res.status == 200,
			   "keeps the connection");
		}
	}

	/* a CA file that is replaced: nobody is told, it is followed */
	ok(link(good_ca, ca) == 0, "a CA file");
	t.ca_file = ca;
	rude_script(&tls, good, NULL);
	go(&t);
	result_is(HTTP_STATUS, 200, "with which all is well");
	ok(rename(other_ca, ca) == 0 && becomes(&t, HTTP_NOT_SENT),
	   "is replaced: %s", res.error);
	ok(link(good_ca, other_ca) == 0 && rename(other_ca, ca) == 0 &&
	   becomes(&t, HTTP_STATUS) && res.new_connection, "and put back");
	ok(unlink(ca) == 0 && becomes(&t, HTTP_NOT_SENT), "and gone: %s",
	   res.error);

	ln_http_destroy(client);
	rude_stop(&tls);
	SSL_CTX_free(ctx);
	SSL_CTX_free(other);
	judged = &server;
	client = saved;
}

/* One connection that does not come about holds nobody up. */
static void
test_connects_do_not_block(void)
{
	HttpClient *saved = client;
	struct sockaddr_in addr;
	socklen_t	len = sizeof(addr);
	int			fillers[16];
	int			fd = socket(AF_INET, SOCK_STREAM, 0);
	Try			stuck;
	Try			t;
	char		err[200];
	int			i;
	int			good_ones = 0;

	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(fd, (struct sockaddr *) &addr, sizeof(addr));
	getsockname(fd, (struct sockaddr *) &addr, &len);
	listen(fd, 0);
	for (i = 0; i < 16; i++)
	{
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fillers[i], (struct sockaddr *) &addr, sizeof(addr));
	}
	memset(&t, 0, sizeof(t));
	stuck = t;
	stuck.port = ntohs(addr.sin_port);
	stuck.connect_ms = 4000;
	client = new_client(200, 200, 10);
	rude_script(&server, good, NULL);
	for (i = 0; i < 60; i++)
		add(&stuck, 1000, err, sizeof(err));
	for (i = 0; i < 60; i++)
		add(&t, 1, err, sizeof(err));
	for (i = 0; i < 60 && drive(2000); i++)
		good_ones += res.tag == 1 && res.status == 200;
	is_int(good_ones, 60, "60 that cannot connect hold 60 others not up");
	ln_http_abort_all(client);
	for (i = 0; i < 60 && drive(100); i++)
		good_ones -= res.tag == 1000 && res.verdict == HTTP_NOT_SENT &&
			res.aborted;
	is_int(good_ones, 0, "and are not sent");
	for (i = 0; i < 16; i++)
		close(fillers[i]);
	close(fd);
	ln_http_destroy(client);
	client = saved;
}

/* ---------- what a process may open ---------- */

/* A server in a process of its own, which takes no descriptors from ours. */
static pid_t
server_process(SSL_CTX * tls, const Step *script, int *port)
{
	static RudeServer own;
	int			pipe_fds[2];
	pid_t		pid;

	if (pipe(pipe_fds) != 0)
		exit(2);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
	{
		rude_start(&own, tls);
		rude_script(&own, script, NULL);
		if (write(pipe_fds[1], &own.port, sizeof(own.port)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(pipe_fds[0], port, sizeof(*port)) != sizeof(*port))
		exit(2);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return pid;
}

static void
kill_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Let this process open so many descriptors more. */
static void
allow_files(int more)
{
	struct rlimit limit;
	int			fds[64];
	int			i;

	getrlimit(RLIMIT_NOFILE, &limit);
	for (i = 0; i <= more; i++)
		fds[i] = open("/dev/null", O_RDONLY);
	limit.rlim_cur = (rlim_t) fds[more];
	setrlimit(RLIMIT_NOFILE, &limit);
	for (i = 0; i <= more; i++)
		close(fds[i]);
}

/* So many at once; how many of them are answered. */
static int
at_once(const Try * t, int n)
{
	char		err[200];
	int			answered = 0;
	int			i;

	for (i = 0; i < n; i++)
		add(t, 1, err, sizeof(err));
	for (i = 0; i < n && drive(5000); i++)
		answered += res.verdict == HTTP_STATUS;
	return answered;
}

/* A want of descriptors is no fault of the server. */
static void
test_few_descriptors(void)
{
	static const Step slow[] = {READ_ALL, SLEEP(30), SEND(OK), KEEP};
	HttpClient *saved = client;
	struct rlimit limit;
	pid_t		one;
	pid_t		other;
	Try			to_one;
	Try			to_other;

	getrlimit(RLIMIT_NOFILE, &limit);
	memset(&to_one, 0, sizeof(to_one));
	to_other = to_one;
	one = server_process(NULL, slow, &to_one.port);
	other = server_process(NULL, slow, &to_other.port);

	client = new_client(60, 60, 30);
	is_int(at_once(&to_one, 40), 40, "40 are answered by one server");
	allow_files(0);
	is_int(at_once(&to_other, 40), 40,
		   "no descriptor is left: connections that are idle make room for another");
	ln_http_destroy(client);

	setrlimit(RLIMIT_NOFILE, &limit);
	client = new_client(60, 60, 30);
	allow_files(7);
	is_int(at_once(&to_one, 60), 60, "few are left: they wait for each other");
	ln_http_destroy(client);

	setrlimit(RLIMIT_NOFILE, &limit);
	client = new_client(60, 60, 30);
	allow_files(0);
	is_int(at_once(&to_one, 1), 0, "none is left, and nothing to close");
	result_is(HTTP_NOT_SENT, 0, "the request is not sent");
	is_str(res.error, "could not open a socket: Too many open files", "why");
	setrlimit(RLIMIT_NOFILE, &limit);
	is_int(at_once(&to_one, 1), 1, "they are there again");
	ln_http_destroy(client);

	client = saved;
	kill_process(one);
	kill_process(other);
}

/* Connections of this process to a port. */
static int
connections_to(int port)
{
	int			n = 0;
	int			fd;

	for (fd = 0; fd < 2000; fd++)
	{
		struct sockaddr_in addr;
		socklen_t	len = sizeof(addr);

		n += getpeername(fd, (struct sockaddr *) &addr, &len) == 0 &&
			addr.sin_family == AF_INET && ntohs(addr.sin_port) == port;
	}
	return n;
}

/* Step until there are so many; how many there are a while after that. */
static int
become_connections(int port, int n)
{
	int64_t		end = now_ms() + 5000;

	while (connections_to(port) < n && now_ms() < end)
		drive(10);
	drive(100);
	return connections_to(port);
}

/*
 * Requests to a server that is stopped: the kernel takes connections for it,
 * and it makes no handshake.
 */
static void
add_stopped(HttpRequest *req, volatile uint8_t *sent, int from, int to,
			pid_t pid)
{
	char		err[200];
	int			status;

	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	for (; from < to; from++)
	{
		req->journal = &sent[from];
		ln_http_add(client, req, err, sizeof(err));
	}
}

/* Handshakes under way: some at first, then as many as stand already. */
static void
test_connections_grow(void)
{
	static const Step mute[] = {READ_ALL, STALL};
	HttpClient *saved = client;
	SSL_CTX    *tls;
	char		ca[200];
	char		url[100];
	volatile uint8_t sent[300] = {0};
	HttpRequest req;
	pid_t		pid;
	int			port;
	int			i;

	snprintf(ca, sizeof(ca), "%s/grow.pem", dir);
	tls = rude_tls("127.0.0.1", -3600, 3600, ca);
	pid = server_process(tls, mute, &port);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", port);
	client = new_client(300, 300, 30);
	memset(&req, 0, sizeof(req));
	req.method = "POST";
	req.url = url;
	req.body = "x";
	req.body_len = 1;
	req.connect_timeout_ms = req.total_timeout_ms = 60000;
	req.ca_file = ca;

	add_stopped(&req, sent, 0, 64, pid);
	is_int(become_connections(port, 32), 32, "32 handshakes are under way");
	kill(pid, SIGCONT);
	for (i = 0; i < 64; i++)
		while (!sent[i] && !drive(10))
			;
	is_int(connections_to(port), 64, "64 connections stand");
	add_stopped(&req, sent, 64, 300, pid);
	is_int(become_connections(port, 128), 128, "as many more are under way");

	ln_http_destroy(client);
	client = saved;
	kill_process(pid);
	SSL_CTX_free(tls);
}

/* ---------- endurance ---------- */

/*
 * A sender that is killed at a random moment: its journal, in shared memory,
 * must have been set if the server got the request.
 */
static void
test_killed(void)
{
	volatile uint8_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
									MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int			arrived = 0;
	int			marks = 0;
	int			lies = 0;
	int			i;

	/* then the server's connections are those of the child */
	ln_http_forget_connections(client);
	for (i = 0; i < 60; i++)
	{
		pid_t		pid;
		int			status;

		rude_script(&server, good, NULL);
		*shared = 0;
		fflush(stdout);
		pid = fork();
		if (pid == 0)
		{
			HttpRequest req;
			char		url[100];
			char		err[200];

			snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port);
			memset(&req, 0, sizeof(req));
			req.method = "POST";
			req.url = url;
			req.body = "MARK";
			req.body_len = 4;
			req.connect_timeout_ms = req.total_timeout_ms = 1000;
			req.journal = shared;
			client = new_client(1, 1, 10);
			ln_http_add(client, &req, err, sizeof(err));
			drive(1000);
			pause();
			_exit(0);
		}
		usleep((useconds_t) (i * 100));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		rude_quiet(&server);
		if (*shared != 0)
			marks++;
		if (rude_marked(&server) > 0)
		{
			arrived++;
			if (*shared == 0)
				lies++;
		}
	}
	is_int(lies, 0, "killed at any moment, the journal tells the truth");
	diag("60 killed: %d marked, %d arrived", marks, arrived);
	munmap((void *) shared, 4096);
}

static long
resident_kb(void)
{
	FILE	   *f = fopen("/proc/self/statm", "r");
	long		size = 0;
	long		resident = 0;

	if (f != NULL)
	{
		if (fscanf(f, "%ld %ld", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return resident * 4;
}

/*
 * Many transfers at once against a server that misbehaves at random; whatever
 * happens, it must end, and nothing may leak.
 */
static void
test_mixture(void)
{
	static const Step drop[] = {READ_ALL, END};
	static const Step reset[] = {READ_ALL, RESET};
	static const Step half[] = {READ_ALL, SEND("HTTP/1.1 20"), END};
	static const Step bad[] =
	{READ_ALL, SEND("HTTP/1.1 400 Bad\r\nContent-Length: 9\r\n\r\nabc"), END};
	static const Step after[] = {READ_ALL, SEND(OK), END};
	static const Step flood[] =
	{READ_ALL, SEND("HTTP/1.1 200 OK\r\n\r\n"), REPEAT("bbbbbbbbbbbbbbbb", -1),
	END};
	const Step *scripts[] = {good, drop, good, reset, half, bad, after, flood};
	HttpClient *saved = client;
	Try			t;
	char		err[200];
	int			n = 700;
	int			added = 0;
	int			done = 0;
	int			verdicts[3] = {0, 0, 0};
	int			fds;
	unsigned int seed = 20261121;

	memset(&t, 0, sizeof(t));
	t.total_ms = 3000;
	client = new_client(12, 12, 10);
	rude_script(&server, good, NULL);
	go(&t);
	fds = open_fds();

	while (done < n)
	{
		while (added < n && ln_http_free(client) > 0)
		{
			seed = seed * 1103515245 + 12345;
			rude_script(&server, scripts[(seed >> 16) % 8],
						scripts[(seed >> 20) % 8], NULL);
			t.path = (seed >> 24) % 2 ? "/a" : "/b";
			t.get = (seed >> 25) % 8 == 0;
			if (!add(&t, (uint64_t) added, err, sizeof(err)))
				break;
			added++;
			if ((seed >> 12) % 40 == 0)
				ln_http_forget_connections(client);
			if ((seed >> 13) % 100 == 0)
				ln_http_abort_all(client);
		}
		if (!drive(10000))
			break;
		verdicts[res.verdict]++;
		done++;
	}
	is_int(done, n, "a mixture of everything comes to its end");
	diag("not sent %d, ambiguous %d, status %d", verdicts[0], verdicts[1],
		 verdicts[2]);
	ln_http_forget_connections(client);
	usleep(100000);
	ok(open_fds() <= fds + 2, "no descriptor is left behind");
	ln_http_destroy(client);
	client = saved;
}

static void
test_memory(void)
{
	HttpClient *saved = client;
	Try			t;
	char		err[200];
	long		before = 0;
	int			i;
	int			failed = 0;

	memset(&t, 0, sizeof(t));
	client = new_client(4, 4, 10);
	rude_script(&server, good, NULL);
	for (i = 0; i < 20000; i++)
	{
		while (ln_http_free(client) > 0)
			add(&t, 1, err, sizeof(err));
		if (!drive(5000) || res.verdict != HTTP_STATUS)
			failed++;
		if (i == 5000)
			before = resident_kb();
	}
	is_int(failed, 0, "20,000 requests over four connections");
	ok(rude_connections(&server) == 4, "really four");
	ok(resident_kb() - before < 6000, "memory is flat: %ld kB more",
	   resident_kb() - before);
	ln_http_destroy(client);
	client = saved;
}

/*
 * The address sanitizer keeps freed memory back; with little of that, the test
 * of memory means something.
 */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "quarantine_size_mb=1:thread_local_quarantine_size_kb=64";
}

/* libcurl 8.14 leaks the name of a host that is not resolved (curl #17602). */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return strncmp(ln_http_version(), "libcurl/8.14.", 13) == 0 ?
		"leak:libcurl.so" : "";
}

int
main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(dir) == NULL)
		return 2;
	rude_start(&server, NULL);
	client = new_client(16, 16, 30);

	ok(strncmp(ln_http_version(), "libcurl/", 8) == 0, "%s",
	   ln_http_version());
	test_plain();
	test_refused_requests();
	test_limits();
	test_answers();
	test_status_lines();
	test_floods();
	test_early_answers();
	test_closed_meanwhile();
	test_no_connection();
	test_slow_resolver();
	test_abort();
	test_forget();
	test_tls();
	test_proxy();
	test_tls_proxy();
	test_our_own_stall();
	test_unread_answer();
	test_reset_at_the_last_moment();
	test_early_statuses();
	test_stops_reading();
	test_lifetime();
	test_tls_connections();
	test_connects_do_not_block();
	test_few_descriptors();
	test_connections_grow();
	test_killed();
	test_mixture();
	test_memory();

	ln_http_destroy(client);
	rude_stop(&server);
	test_copies();

	is_int(broken_promises, 0, "no promise was broken");
	diag("in %d transfers", tries);

	{
		char		cmd[100];

		snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
		if (system(cmd) != 0)
			diag("%s could not be removed", dir);
	}
	return done_testing();
}
