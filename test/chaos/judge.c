/*-------------------------------------------------------------------------
 *
 * judge.c
 *		A LINE that lies, hangs and breaks off, and notes what it really did.
 *
 *		judge PORT LOG SEED FAULTS
 *
 * Listens on 127.0.0.1 at PORT and the one after it, speaks HTTP/1.1 over as
 * many connections as come, one thread.  Each request to send is decided by
 * SEED and how many came before, so that one which comes again may fare
 * better; how often which fault comes stands in the file FAULTS, lines of
 * "name per_10000", read again at SIGHUP.  Answers come after 1 to 512 ms, as
 * many in each octave, or between "min_ms N" and "max_ms N" of that file.
 * Knows nothing of the product but its delivery tag, "ln1-ID-ATTEMPT-...".
 *
 * LOG gets a line for each request of which at least the head came:
 *
 *		at door id attempt fault status whole taken
 *
 * at: ms since 1970 when its head came.  door: 0 for PORT, 1 for the other.
 * whole: the body had come to its end.  taken: LINE would deliver the message.
 * status: what was answered, 0 for none or one that broke off within its first
 * line.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* what may happen to a request; the names are those of the file */
typedef enum Fault
{
	GOOD,						/* 202, after 1 to 500 ms */
	GOOD_CLOSE,					/* the same, and an idle connection closes */
	HANG,						/* read, never answered */
	STATUS,						/* one of those below, after 1 to 500 ms */
	QUICK,						/* 422 at once */
	WAIT,						/* one that makes the whole channel wait */
	CLOSE_HEAD,					/* after the head */
	RESET_HEAD,
	RESET_BODY,					/* at the body's first byte */
	CLOSE_AFTER,				/* all read, no answer */
	RESET_AFTER,
	CLOSE_STATUS,				/* after "HTTP/1.1 20" */
	RESET_HEADERS,				/* after the status line and one header */
	CLOSE_SHORT,				/* less of a body than was said */
	GARBAGE,
	NFAULTS
}			Fault;

static const char *const fault_names[NFAULTS] = {
	"good", "good_close", "hang", "status", "quick", "wait", "close_head",
	"reset_head", "reset_body", "close_after", "reset_after", "close_status",
	"reset_headers", "close_short", "garbage"
};

static const int statuses[] = {
	400, 404, 408, 409, 418, 422, 422, 425, 451, 499, 500, 502, 504
};
static const int waits[] = {401, 403, 429, 503};

#define ANY(list, dice) \
	(list)[throw_dice(dice) % (sizeof(list) / sizeof((list)[0]))]

#define MAX_HEAD 8192
#define MAX_FDS 20000

typedef struct Connection
{
	int			fd;
	char		in[MAX_HEAD];
	int			n;				/* bytes in it */
	long		body;			/* bytes of the body that have not come, -1 =
								 * the head has not */
	/* the request that is being read or answered */
	bool		answering;
	int			door;			/* by which it came: 0, 1 */
	int64_t		id;
	int			attempt;
	int64_t		came;			/* ms since 1970 */
	Fault		fault;
	int			status;
	bool		taken;
	uint64_t	dice;
	int64_t		at;				/* ms: when to act, 0 = nothing to do */
	int			heap;			/* its place there, -1 = none */
}			Connection;

static Connection * connections[MAX_FDS];
static Connection * heap[MAX_FDS];
static int	nheap;
static int	weights[NFAULTS];
static int	total;
static int	min_ms,
			max_ms;				/* of an answer; 0: by octaves */
static uint64_t seed;
static FILE * out;
static int	epoll;
static volatile sig_atomic_t hup,
			term;

static void
note_signal(int sig)
{
	if (sig == SIGHUP)
		hup = 1;
	else
		term = 1;
}

static int64_t
now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* splitmix64 */
static uint64_t
throw_dice(uint64_t *state)
{
	uint64_t	z = (*state += 0x9E3779B97F4A7C15ULL);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
	return z ^ (z >> 31);
}

static void
read_faults(const char *file)
{
	char		name[64];
	int			weight;
	FILE	   *f = fopen(file, "r");

	if (f == NULL)
	{
		perror(file);
		exit(1);
	}
	memset(weights, 0, sizeof(weights));
	total = min_ms = max_ms = 0;
	while (fscanf(f, "%63s %d", name, &weight) == 2)
	{
		int			i;

		if (strcmp(name, "min_ms") == 0 || strcmp(name, "max_ms") == 0)
		{
			*(name[1] == 'i' ? &min_ms : &max_ms) = weight;
			continue;
		}
		for (i = 0; i < NFAULTS; i++)
			if (strcmp(name, fault_names[i]) == 0)
				break;
		if (i == NFAULTS || i == GOOD)
		{
			fprintf(stderr, "no fault \"%s\"\n", name);
			exit(1);
		}
		weights[i] = weight;
		total += weight;
	}
	fclose(f);
	weights[GOOD] = 10000 - total;
}

/* --- a heap of connections by time --- */

static void
heap_put(int i, Connection * c)
{
	heap[i] = c;
	c->heap = i;
}

static void
heap_sift(int i)
{
	Connection *c = heap[i];

	for (; i > 0 && heap[(i - 1) / 2]->at > c->at; i = (i - 1) / 2)
		heap_put(i, heap[(i - 1) / 2]);
	for (;;)
	{
		int			k = 2 * i + 1;

		if (k + 1 < nheap && heap[k + 1]->at < heap[k]->at)
			k++;
		if (k >= nheap || heap[k]->at >= c->at)
			break;
		heap_put(i, heap[k]);
		i = k;
	}
	heap_put(i, c);
}

static void
wake_at(Connection * c, int64_t at)
{
	c->at = at;
	if (c->heap < 0)
		heap_put(nheap++, c);
	heap_sift(c->heap);
}

static void
wake_never(Connection * c)
{
	int			i = c->heap;

	if (i < 0)
		return;
	c->heap = -1;
	nheap--;
	if (i < nheap)
	{
		heap_put(i, heap[nheap]);
		heap_sift(i);
	}
}

/* --- connections --- */

static void
hang_up(Connection * c, bool reset)
{
	struct linger l = {1, 0};

	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	wake_never(c);
	close(c->fd);
	connections[c->fd] = NULL;
	free(c);
}

static bool
say(Connection * c, const char *text, int len)
{
	/* answers are short: a buffer that cannot take one is a dead connection */
	return send(c->fd, text, len, MSG_NOSIGNAL) == len;
}

static void
note(const Connection * c, bool whole)
{
	fprintf(out, "%lld %d %lld %d %s %d %d %d\n", (long long) c->came,
			c->door, (long long) c->id,
			c->attempt, fault_names[c->fault], c->status, whole,
			whole && c->taken);
}

static bool
answer(Connection * c, int status)
{
	char		text[256];
	int			len;

	len = snprintf(text, sizeof(text),
				   "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
				   "X-Line-Request-Id: judge-%lld-%d\r\n%s"
				   "Content-Length: 2\r\n\r\n{}",
				   status, (long long) c->id, c->attempt,
				   status == 429 || status == 503 ? "Retry-After: 1\r\n" : "");
	return say(c, text, len);
}

/* Says so much of an answer, and hangs up. */
static void
break_off(Connection * c, const char *text, int len, bool reset)
{
	say(c, text, len);
	hang_up(c, reset);
}

/* Decides what happens to the request whose head has come. */
static void
decide(Connection * c)
{
	int			n;

	c->dice = throw_dice(&seed);
	n = throw_dice(&c->dice) % 10000;
	c->fault = GOOD;
	for (int i = 1; i < NFAULTS; i++)
	{
		if (n < weights[i])
		{
			c->fault = i;
			break;
		}
		n -= weights[i];
	}
	c->status = 0;
	switch (c->fault)
	{
		case GOOD:
		case GOOD_CLOSE:
		case RESET_HEADERS:
		case CLOSE_SHORT:
			/* who has said so, has it */
			c->status = 202;
			c->taken = true;
			break;
		case STATUS:
			c->status = ANY(statuses, &c->dice);
			/* behind a gateway that failed, LINE may have it */
			c->taken = c->status >= 500 && throw_dice(&c->dice) % 2;
			break;
		case QUICK:
			c->status = 422;
			c->taken = false;
			break;
		case WAIT:
			c->status = ANY(waits, &c->dice);
			c->taken = false;
			break;
		case CLOSE_HEAD:
		case RESET_HEAD:
		case RESET_BODY:
			c->taken = false;
			break;
		default:
			c->taken = throw_dice(&c->dice) % 2;
	}
}

/* ms until the answer */
static int64_t
latency(Connection * c)
{
	int64_t		octave;

	if (c->fault == QUICK)
		return 0;
	if (max_ms > 0)
		return min_ms + throw_dice(&c->dice) % (max_ms - min_ms + 1);
	octave = 1LL << throw_dice(&c->dice) % 9;
	return octave + throw_dice(&c->dice) % octave;
}

/* The whole request is here.  False: the connection is gone. */
static bool
request(Connection * c)
{
	note(c, true);
	c->answering = true;
	switch (c->fault)
	{
		case HANG:
			return true;
		case CLOSE_AFTER:
		case RESET_AFTER:
			hang_up(c, c->fault == RESET_AFTER);
			return false;
		default:
			wake_at(c, now_ms(CLOCK_MONOTONIC) + latency(c));
			return true;
	}
}

/* It is time to answer, or to close. */
static void
act(Connection * c)
{
	bool		ok = true;

	wake_never(c);
	if (!c->answering)
	{
		hang_up(c, false);
		return;
	}
	switch (c->fault)
	{
		case CLOSE_STATUS:
			break_off(c, "HTTP/1.1 20", 11, false);
			return;
		case RESET_HEADERS:
			break_off(c, "HTTP/1.1 202 X\r\nX-Line-Request-Id: half\r\n", 41,
					  true);
			return;
		case CLOSE_SHORT:
			break_off(c, "HTTP/1.1 202 X\r\nContent-Length: 20\r\n\r\n{}", 40,
					  false);
			return;
		case GARBAGE:
			break_off(c, "\0\0\1 garbage\r\n\r\n", 15, false);
			return;
		default:
			ok = answer(c, c->status);
	}
	c->answering = false;
	c->body = -1;
	if (!ok)
		hang_up(c, false);
	else if (c->fault == GOOD_CLOSE)
		wake_at(c, now_ms(CLOCK_MONOTONIC) + throw_dice(&c->dice) % 50);
}

/* The value of a header, or NULL. */
static const char *
header(const char *head, const char *name)
{
	size_t		len = strlen(name);

	for (const char *p = strstr(head, "\r\n"); p != NULL;
		 p = strstr(p, "\r\n"))
	{
		p += 2;
		if (strncasecmp(p, name, len) == 0 && p[len] == ':')
		{
			for (p += len + 1; *p == ' ';)
				p++;
			return p;
		}
	}
	return NULL;
}

/* Takes what has come in.  False: the connection is gone. */
static bool
take(Connection * c)
{
	while (c->n > 0 && !c->answering)
	{
		if (c->body < 0)
		{
			char	   *end;
			const char *value;
			bool		post;

			c->in[c->n] = 0;
			end = strstr(c->in, "\r\n\r\n");
			if (end == NULL)
				return c->n < MAX_HEAD - 1;
			end[2] = 0;
			wake_never(c);
			c->came = now_ms(CLOCK_REALTIME);
			post = strncmp(c->in, "POST ", 5) == 0;
			value = header(c->in, "Content-Length");
			c->body = value ? atol(value) : 0;
			value = header(c->in, "X-Line-Delivery-Tag");
			c->id = c->attempt = 0;
			if (value == NULL ||
				sscanf(value, "ln1-%lld-%d-", (long long *) &c->id,
					   &c->attempt) != 2)
				post = false;
			end += 4;
			c->n -= end - c->in;
			memmove(c->in, end, c->n);
			if (post)
				decide(c);
			else
			{
				/* a free question */
				c->fault = GOOD;
				c->status = 200;
				c->taken = false;
			}
			if (c->fault == CLOSE_HEAD || c->fault == RESET_HEAD)
			{
				note(c, c->body <= c->n);
				hang_up(c, c->fault == RESET_HEAD);
				return false;
			}
		}
		if (c->body > 0 && c->fault == RESET_BODY && c->n > 0)
		{
			note(c, c->body <= c->n);
			hang_up(c, true);
			return false;
		}
		if (c->body > 0)
		{
			int			k = c->n < c->body ? c->n : (int) c->body;

			c->body -= k;
			c->n -= k;
			memmove(c->in, c->in + k, c->n);
		}
		if (c->body > 0)
			return true;
		if (c->id == 0)
		{
			if (!answer(c, 200))
				return false;
			c->body = -1;
			continue;
		}
		if (!request(c))
			return false;
	}
	return true;
}

static void
readable(Connection * c)
{
	for (;;)
	{
		ssize_t		k = recv(c->fd, c->in + c->n, MAX_HEAD - 1 - c->n, 0);

		if (k > 0)
		{
			int			fd = c->fd;

			c->n += k;
			if (!take(c))
			{
				if (connections[fd] == c)
					hang_up(c, true);
				return;
			}
			/* more than one request at a time is not for this client */
			if (c->answering && c->n > 0)
			{
				fprintf(stderr, "a request before the answer to the last\n");
				exit(1);
			}
			continue;
		}
		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* its head came, and not all of its body */
		if (c->body > 0 && c->id != 0)
			note(c, false);
		hang_up(c, false);
		return;
	}
}

int
main(int argc, char **argv)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct epoll_event evs[256];
	struct rlimit fds = {MAX_FDS, MAX_FDS};
	int			doors[2];
	int			one = 1;
	int64_t		flushed = 0;

	if (argc != 5)
	{
		fprintf(stderr, "judge PORT LOG SEED FAULTS\n");
		return 2;
	}
	setrlimit(RLIMIT_NOFILE, &fds);
	seed = strtoull(argv[3], NULL, 10);
	read_faults(argv[4]);
	out = fopen(argv[2], "w");
	if (out == NULL)
	{
		perror(argv[2]);
		return 1;
	}
	setvbuf(out, NULL, _IOFBF, 1 << 20);
	signal(SIGHUP, note_signal);
	signal(SIGTERM, note_signal);
	epoll = epoll_create1(0);
	for (int i = 0; i < 2; i++)
	{
		struct sockaddr_in addr = {.sin_family = AF_INET};

		doors[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		addr.sin_port = htons(atoi(argv[1]) + i);
		addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		setsockopt(doors[i], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(doors[i], (struct sockaddr *) &addr, sizeof(addr)) != 0 ||
			listen(doors[i], 4096) != 0)
		{
			perror("judge");
			return 1;
		}
		ev.data.fd = doors[i];
		epoll_ctl(epoll, EPOLL_CTL_ADD, doors[i], &ev);
	}
	puts("ready");
	fflush(stdout);

	while (!term)
	{
		int64_t		now = now_ms(CLOCK_MONOTONIC);
		int			wait = nheap > 0 ? (int) (heap[0]->at - now) : 500;
		int			n;

		n = epoll_wait(epoll, evs, 256,
					   wait < 0 ? 0 : wait > 500 ? 500 : wait);
		if (hup)
		{
			hup = 0;
			read_faults(argv[4]);
		}
		for (int i = 0; i < n; i++)
		{
			int			fd = evs[i].data.fd;
			int			door = fd == doors[1];

			if (fd != doors[door])
			{
				if (connections[fd] != NULL)
					readable(connections[fd]);
				continue;
			}
			while ((fd = accept4(doors[door], NULL, NULL, SOCK_NONBLOCK)) >= 0)
			{
				Connection *c;

				if (fd >= MAX_FDS)
				{
					close(fd);
					continue;
				}
				setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
				c = calloc(1, sizeof(Connection));
				c->fd = fd;
				c->door = door;
				c->body = -1;
				c->heap = -1;
				connections[fd] = c;
				ev.events = EPOLLIN;
				ev.data.fd = fd;
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev);
			}
		}
		now = now_ms(CLOCK_MONOTONIC);
		while (nheap > 0 && heap[0]->at <= now)
			act(heap[0]);
		if (now - flushed > 200)
		{
			fflush(out);
			flushed = now;
		}
	}
	fclose(out);
	return 0;
}
