/*-------------------------------------------------------------------------
 *
 * http_bench.c
 *		Throughput of our HTTP client beside a bare libcurl multi loop.
 *
 *		http_bench [-n requests] [-c connections] [-a ca-file] [-b bytes]
 *				   [-r rounds] [-m ours|bare|floor|both] URL
 *
 * Both send the same POST to the same URL with the same number of concurrent
 * transfers, reusing connections and handles.  "bare" is what a careful
 * application would write: a multi handle with socket and timer callbacks on
 * its own epoll set, the body as a memory buffer (so libcurl sends it together
 * with the head, and repeats it when it likes), the answer thrown away,
 * nothing set twice.  The rounds alternate, so that both meet the same
 * machine.
 *
 * "floor" is what the kernel alone costs: the same bytes by send(), the answer
 * by recv(), over epoll; plain http to an address only, answers in one piece.
 *
 * Prints one line per round and the best and median of each.  For "perf stat",
 * take -m ours or -m bare.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/http.h"

static const char *url;
static const char *ca_file = NULL;
static int	nrequests = 50000;
static int	nconnections = 32;
static size_t body_bytes = 400;
static char *body;

static const char *const headers[] =
{
	"Content-Type: application/json",
	"Authorization: Bearer "
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	"X-Line-Delivery-Tag: ln1-123456789-1-0123456789abc"
};

#define NHEADERS	((int) (sizeof(headers) / sizeof(headers[0])))

typedef struct Figures
{
	double		seconds;
	double		cpu;
	int			good;
	int			bad;
} Figures;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

static double
cpu(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
		(double) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

/* ---------- ours ---------- */

static Figures
run_ours(void)
{
	Figures		f = {0, 0, 0, 0};
	HttpOptions opt;
	HttpRequest req;
	HttpResult	res;
	HttpClient *client;
	char		err[256];
	int			added = 0;
	volatile uint8_t journal = 0;

	memset(&opt, 0, sizeof(opt));
	opt.max_transfers = nconnections;
	opt.max_connections = nconnections;
	opt.max_host_connections = nconnections;
	opt.max_idle_s = 30;
	opt.max_response = 16384;
	client = ln_http_create(&opt, err, sizeof(err));
	if (client == NULL)
	{
		fprintf(stderr, "%s\n", err);
		exit(1);
	}

	memset(&req, 0, sizeof(req));
	req.method = "POST";
	req.url = url;
	req.headers = headers;
	req.nheaders = NHEADERS;
	req.body = body;
	req.body_len = body_bytes;
	req.connect_timeout_ms = 5000;
	req.total_timeout_ms = 10000;
	req.ca_file = ca_file;
	req.journal = &journal;

	f.seconds = now();
	f.cpu = cpu();
	while (f.good + f.bad < nrequests)
	{
		long		timeout;

		while (added < nrequests && ln_http_free(client) > 0)
		{
			req.tag = (uint64_t) added;
			if (!ln_http_add(client, &req, err, sizeof(err)))
			{
				fprintf(stderr, "%s\n", err);
				exit(1);
			}
			added++;
		}

		timeout = ln_http_timeout_ms(client);
		if (timeout != 0)
		{
			struct pollfd pfd = {ln_http_fd(client), POLLIN, 0};

			poll(&pfd, 1, (int) timeout);
		}
		ln_http_step(client);
		while (ln_http_next(client, &res))
		{
			if (res.verdict == HTTP_STATUS && res.status / 100 == 2)
				f.good++;
			else if (f.bad++ == 0)
				fprintf(stderr, "ours: %d %d %s\n", res.verdict, res.status,
						res.error);
		}
	}
	f.seconds = now() - f.seconds;
	f.cpu = cpu() - f.cpu;
	ln_http_destroy(client);
	return f;
}

/* ---------- bare ---------- */

static int	bare_epoll;
static int	bare_epolls;
static double bare_deadline;

static int
bare_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known)
{
	struct epoll_event ev;

	(void) easy;
	memset(&ev, 0, sizeof(ev));
	ev.data.fd = s;
	if (what == CURL_POLL_REMOVE)
		epoll_ctl(bare_epoll, EPOLL_CTL_DEL, s, &ev);
	else
	{
		ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
			(what & CURL_POLL_OUT ? EPOLLOUT : 0);
		epoll_ctl(bare_epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s, &ev);
		if (!known)
			curl_multi_assign(arg, s, &bare_epoll);
	}
	bare_epolls++;
	return 0;
}

static int
bare_timer(CURLM *multi, long timeout_ms, void *arg)
{
	(void) multi;
	(void) arg;
	bare_deadline = timeout_ms < 0 ? -1 : now() + (double) timeout_ms / 1000;
	return 0;
}

static size_t
bare_write(char *data, size_t size, size_t n, void *arg)
{
	(void) data;
	(void) arg;
	return size * n;
}

static Figures
run_bare(void)
{
	Figures		f = {0, 0, 0, 0};
	CURLM	   *multi = curl_multi_init();
	CURL	  **easy = calloc((size_t) nconnections, sizeof(*easy));
	struct curl_slist *list = NULL;
	struct epoll_event events[256];
	int			started = 0;
	int			running;
	int			left;
	int			i;
	CURLMsg    *msg;

	bare_epoll = epoll_create1(0);
	bare_deadline = -1;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, bare_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, multi);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, bare_timer);
	curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
					  (long) nconnections);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) nconnections);
	for (i = 0; i < NHEADERS; i++)
		list = curl_slist_append(list, headers[i]);
	list = curl_slist_append(list, "Expect:");

	f.seconds = now();
	f.cpu = cpu();
	for (i = 0; i < nconnections && started < nrequests; i++, started++)
	{
		easy[i] = curl_easy_init();
		curl_easy_setopt(easy[i], CURLOPT_URL, url);
		curl_easy_setopt(easy[i], CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(easy[i], CURLOPT_HTTPHEADER, list);
		curl_easy_setopt(easy[i], CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(easy[i], CURLOPT_POSTFIELDSIZE, (long) body_bytes);
		curl_easy_setopt(easy[i], CURLOPT_WRITEFUNCTION, bare_write);
		curl_easy_setopt(easy[i], CURLOPT_HTTP_VERSION,
						 (long) CURL_HTTP_VERSION_1_1);
		curl_easy_setopt(easy[i], CURLOPT_TIMEOUT_MS, 10000L);
		if (ca_file != NULL)
			curl_easy_setopt(easy[i], CURLOPT_CAINFO, ca_file);
		curl_multi_add_handle(multi, easy[i]);
	}

	while (f.good + f.bad < nrequests)
	{
		int			wait = -1;
		int			n;

		if (bare_deadline >= 0)
		{
			double		d = bare_deadline - now();

			wait = d <= 0 ? 0 : (int) (d * 1000) + 1;
		}
		n = epoll_wait(bare_epoll, events, 256, wait);
		for (i = 0; i < n; i++)
			curl_multi_socket_action(multi, events[i].data.fd,
									 (events[i].events & EPOLLIN ?
									  CURL_CSELECT_IN : 0) |
									 (events[i].events & EPOLLOUT ?
									  CURL_CSELECT_OUT : 0), &running);
		if (bare_deadline >= 0 && now() >= bare_deadline)
		{
			bare_deadline = -1;
			curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		while ((msg = curl_multi_info_read(multi, &left)) != NULL)
		{
			CURL	   *e = msg->easy_handle;
			long		status = 0;

			curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
			if (msg->data.result == CURLE_OK && status / 100 == 2)
				f.good++;
			else if (f.bad++ == 0)
				fprintf(stderr, "bare: %s %ld\n",
						curl_easy_strerror(msg->data.result), status);
			curl_multi_remove_handle(multi, e);
			if (started < nrequests)
			{
				curl_multi_add_handle(multi, e);
				started++;
			}
		}
	}
	f.seconds = now() - f.seconds;
	f.cpu = cpu() - f.cpu;

	for (i = 0; i < nconnections; i++)
	{
		if (easy[i] != NULL)
		{
			curl_multi_remove_handle(multi, easy[i]);
			curl_easy_cleanup(easy[i]);
		}
	}
	curl_multi_cleanup(multi);
	curl_slist_free_all(list);
	free(easy);
	close(bare_epoll);
	return f;
}

/* ---------- floor ---------- */

static Figures
run_floor(void)
{
	Figures		f = {0, 0, 0, 0};
	int			epfd = epoll_create1(0);
	struct sockaddr_in addr;
	struct epoll_event events[256];
	char		host[100];
	char		path[200] = "";
	char		request[8192];
	char		answer[4096];
	int			port = 80;
	int			len;
	int			started = 0;
	int			i;

	if (sscanf(url, "http://%99[0-9.]:%d/%199s", host, &port, path) < 2 ||
		body_bytes > 6000)
	{
		fprintf(stderr, "floor: http://address:port/path and small bodies\n");
		exit(1);
	}
	len = snprintf(request, sizeof(request), "POST /%s HTTP/1.1\r\n"
				   "Host: %s:%d\r\nAccept: */*\r\n%s\r\n%s\r\n%s\r\n"
				   "Content-Length: %zu\r\n\r\n%s", path, host, port,
				   headers[0], headers[1], headers[2], body_bytes, body);
	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = inet_addr(host);
	addr.sin_port = htons((uint16_t) port);

	f.seconds = now();
	f.cpu = cpu();
	for (i = 0; i < nconnections && started < nrequests; i++, started++)
	{
		struct epoll_event ev;
		int			one = 1;
		int			fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *) &addr, sizeof(addr)) != 0)
		{
			perror("connect");
			exit(1);
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		memset(&ev, 0, sizeof(ev));
		ev.events = EPOLLIN;
		ev.data.fd = fd;
		epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
		if (send(fd, request, (size_t) len, 0) != len)
			f.bad++;
	}
	while (f.good + f.bad < nrequests)
	{
		int			n = epoll_wait(epfd, events, 256, -1);

		for (i = 0; i < n; i++)
		{
			int			fd = events[i].data.fd;

			if (recv(fd, answer, sizeof(answer), 0) > 9 && answer[9] == '2')
				f.good++;
			else
				f.bad++;
			if (started < nrequests)
			{
				started++;
				if (send(fd, request, (size_t) len, 0) != len)
					f.bad++;
			}
			else
				close(fd);
		}
	}
	f.seconds = now() - f.seconds;
	f.cpu = cpu() - f.cpu;
	close(epfd);
	return f;
}

static double
show(const char *name, Figures f)
{
	double		rate = f.good / f.seconds;

	printf("%-5s %9.0f requests/s  %6.2f us cpu/request  %d failed\n", name,
		   rate, f.cpu / nrequests * 1e6, f.bad);
	fflush(stdout);
	return rate;
}

static int
by_value(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y;
}

int
main(int argc, char **argv)
{
	int			rounds = 5;
	const char *mode = "both";
	double		rates[2][100];
	int			round;
	int			opt;

	while ((opt = getopt(argc, argv, "n:c:a:b:r:m:")) != -1)
	{
		switch (opt)
		{
			case 'n':
				nrequests = atoi(optarg);
				break;
			case 'c':
				nconnections = atoi(optarg);
				break;
			case 'a':
				ca_file = optarg;
				break;
			case 'b':
				body_bytes = (size_t) atol(optarg);
				break;
			case 'r':
				rounds = atoi(optarg);
				break;
			case 'm':
				mode = optarg;
				break;
			default:
				return 2;
		}
	}
	if (optind != argc - 1 || rounds < 1 || rounds > 100 || nrequests < 1 ||
		nconnections < 1 || body_bytes < 2)
	{
		fprintf(stderr, "usage: %s [-n requests] [-c connections] [-a ca-file]"
				" [-b bytes] [-r rounds] [-m ours|bare|floor|both] URL\n",
				argv[0]);
		return 2;
	}
	url = argv[optind];
	signal(SIGPIPE, SIG_IGN);
	body = malloc(body_bytes + 1);
	memset(body, 'x', body_bytes);
	body[0] = body[body_bytes - 1] = '"';
	body[body_bytes] = '\0';

	printf("# %s, %d requests of %zu bytes, %d connections\n",
		   ln_http_version(), nrequests, body_bytes, nconnections);
	for (round = 0; round < rounds; round++)
	{
		if (mode[0] == 'f')
		{
			show("floor", run_floor());
			continue;
		}
		if (mode[0] != 'o')
			rates[0][round] = show("bare", run_bare());
		if (mode[1] != 'a')
			rates[1][round] = show("ours", run_ours());
	}
	if (mode[0] == 'b' && mode[1] == 'o')
	{
		qsort(rates[0], (size_t) rounds, sizeof(double), by_value);
		qsort(rates[1], (size_t) rounds, sizeof(double), by_value);
		printf("median: bare %.0f, ours %.0f requests/s, ratio %.2f\n",
			   rates[0][rounds / 2], rates[1][rounds / 2],
			   rates[1][rounds / 2] / rates[0][rounds / 2]);
		printf("best:   bare %.0f, ours %.0f requests/s, ratio %.2f\n",
			   rates[0][rounds - 1], rates[1][rounds - 1],
			   rates[1][rounds - 1] / rates[0][rounds - 1]);
	}
	return 0;
}
