/*-------------------------------------------------------------------------
 *
 * http_idle_close.c
 *		How many requests become unknown when the server closes idle
 *		connections at random, without a word?
 *
 *		http_idle_close [-n requests] [-p per second] [-i ms] [-s seed]
 *
 * A server in a thread answers each request at once and draws, after each
 * answer, how long it will keep the connection idle: 0 to i ms.  The client
 * sends at random moments.  A request that leaves while the close is on its
 * way cannot be saved by anybody: it is unknown.  What can be avoided is to
 * use a connection although its end could be seen.  Built with the http/ of
 * two revisions, and run in turns, it compares them.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

#include "http/http.h"

#define MAX_FD		4096
#define ANSWER		"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"

static int	idle_ms = 200;
static volatile int stop = 0;
static volatile long received = 0;
static int	listener;

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Answer what is complete: a head and 100 bytes. */
static void *
serve(void *arg)
{
	static struct
	{
		int64_t		close_at;	/* 0 = none, or a request is under way */
		char		buf[4096];
		size_t		len;
	}		   *conns;
	unsigned int seed = *(unsigned int *) arg;
	int			epfd = epoll_create1(0);
	struct epoll_event ev = {EPOLLIN, {.fd = listener}};

	conns = calloc(MAX_FD, sizeof(*conns));
	epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev);
	while (!stop)
	{
		struct epoll_event events[64];
		int			n = epoll_wait(epfd, events, 64, 1);
		int64_t		now = now_us();
		int			i;

		for (i = 0; i < n; i++)
		{
			int			fd = events[i].data.fd;
			ssize_t		got;
			char	   *end;

			if (fd == listener)
			{
				int			one = 1;

				fd = accept(listener, NULL, NULL);
				if (fd < 0 || fd >= MAX_FD)
					continue;
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
				conns[fd].len = 0;
				conns[fd].close_at = 0;
				ev.data.fd = fd;
				epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev);
				continue;
			}
			got = recv(fd, conns[fd].buf + conns[fd].len,
					   sizeof(conns[fd].buf) - 1 - conns[fd].len, 0);
			if (got <= 0)
			{
				conns[fd].close_at = 0;
				close(fd);
				continue;
			}
			conns[fd].len += (size_t) got;
			conns[fd].buf[conns[fd].len] = '\0';
			conns[fd].close_at = 0;
			end = strstr(conns[fd].buf, "\r\n\r\n");
			if (end == NULL ||
				conns[fd].len < (size_t) (end + 104 - conns[fd].buf))
				continue;
			received++;
			conns[fd].len = 0;
			if (send(fd, ANSWER, sizeof(ANSWER) - 1, MSG_NOSIGNAL) > 0)
				conns[fd].close_at = now + 1 +
					(int64_t) (rand_r(&seed) %
							   (unsigned int) (idle_ms * 1000));
		}
		for (i = 0; i < MAX_FD; i++)
		{
			if (conns[i].close_at != 0 && conns[i].close_at <= now)
			{
				conns[i].close_at = 0;
				close(i);
			}
		}
	}
	close(epfd);
	free(conns);
	return NULL;
}

int
main(int argc, char **argv)
{
	int			requests = 100000;
	int			per_second = 5000;
	unsigned int seed = 20261126;
	static const char *const headers[] = {"Content-Type: application/json"};
	char		body[101];
	char		url[100];
	char		err[256];
	struct sockaddr_in addr;
	socklen_t	len = sizeof(addr);
	pthread_t	thread;
	HttpOptions opt;
	HttpRequest req;
	HttpResult	res;
	HttpClient *client;
	int			added = 0;
	int			done = 0;
	int			verdicts[3] = {0, 0, 0};
	int			connections = 0;
	int64_t		next;
	int			c;

	while ((c = getopt(argc, argv, "n:p:i:s:")) != -1)
	{
		switch (c)
		{
			case 'n':
				requests = atoi(optarg);
				break;
			case 'p':
				per_second = atoi(optarg);
				break;
			case 'i':
				idle_ms = atoi(optarg);
				break;
			case 's':
				seed = (unsigned int) atoi(optarg);
				break;
			default:
				return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *) &addr, sizeof(addr)) != 0 ||
		listen(listener, 128) != 0 ||
		getsockname(listener, (struct sockaddr *) &addr, &len) != 0)
		return 1;
	pthread_create(&thread, NULL, serve, &seed);

	memset(&opt, 0, sizeof(opt));
	opt.max_transfers = opt.max_connections = opt.max_host_connections = 64;
	opt.max_idle_s = 30;
	opt.max_response = 4096;
	client = ln_http_create(&opt, err, sizeof(err));
	if (client == NULL)
		return 1;
	memset(body, 'x', 100);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(addr.sin_port));
	memset(&req, 0, sizeof(req));
	req.method = "POST";
	req.url = url;
	req.headers = headers;
	req.nheaders = 1;
	req.body = body;
	req.body_len = 100;
	req.connect_timeout_ms = req.total_timeout_ms = 5000;

	next = now_us();
	while (done < requests)
	{
		struct pollfd p = {ln_http_fd(client), POLLIN, 0};
		int64_t		now = now_us();
		long		wait;

		while (added < requests && next <= now && ln_http_free(client) > 0)
		{
			if (!ln_http_add(client, &req, err, sizeof(err)))
				return 1;
			added++;
			next += (int64_t) (rand_r(&seed) %
							   (2000000u / (unsigned int) per_second + 1));
		}
		ln_http_step(client);
		while (ln_http_next(client, &res))
		{
			done++;
			verdicts[res.verdict]++;
			connections += res.new_connection;
		}
		wait = ln_http_timeout_ms(client);
		if (wait != 0)
		{
			struct timespec ts = {0, 0};
			int64_t		left = added < requests ? next - now_us() : 1000;

			ts.tv_nsec = left > 0 ? left % 1000000 * 1000 : 0;
			(void) ppoll(&p, 1, &ts, NULL);
		}
	}
	printf("%d requests over %d connections: %d answered, %d unknown (%.0f per million), %d not sent; the server got %ld\n",
		   requests, connections, verdicts[HTTP_STATUS],
		   verdicts[HTTP_AMBIGUOUS], 1e6 * verdicts[HTTP_AMBIGUOUS] / requests,
		   verdicts[HTTP_NOT_SENT], received);
	ln_http_destroy(client);
	stop = 1;
	pthread_join(thread, NULL);
	return 0;
}
