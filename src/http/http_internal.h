/*-------------------------------------------------------------------------
 *
 * http_internal.h
 *		What the files of the HTTP client share.
 *
 * For http*.c only; everybody else includes http.h.
 *
 * Everything is malloc()ed and belongs to one HttpClient.  Nothing here
 * raises; the contract of a function stands before it in its file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_HTTP_INTERNAL_H
#define LN_HTTP_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <time.h>

#include <curl/curl.h>

#include "http/http.h"
#include "http/http1.h"

#if LIBCURL_VERSION_NUM < 0x075100
#error "line_notify needs libcurl 7.81 or newer"
#endif

/*
 * What is received at once, by us and by libcurl: the most that a record of
 * TLS holds.
 */
#define RECEIVE_BYTES		16384

/* Sockets served at once */
#define EVENTS_PER_TURN		256

/* Connections that one request may lose before anything was sent over them */
#define MAX_RESTARTS		64

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
	void		(*watch) (uint64_t tag, size_t sent, size_t of);
	char	   *out;			/* head and body */
	size_t		head_len;		/* with the token in it */
	size_t		out_len;
	size_t		out_capacity;
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
	size_t		response_capacity;
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
	int			no_socket;		/* errno, when we could not open one */
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

/* Not seen from outside of the library */
#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

/* http_origin.c */
extern Origin *ln_origin_find(HttpClient *client, const Http1Url *parts,
							  const char *url, const char *ca_file,
							  const char *proxy);
extern void ln_origin_free(Origin *o);
extern void ln_origin_forget(Origin *o);
extern void ln_origin_serve(Origin *o, int64_t now, int *starts);
extern void ln_origin_made(Conn *c, CURLcode code);

/* http_conn.c */
extern bool ln_conn_open(Origin *o, int connect_timeout_ms);
extern void ln_conn_close(Conn *c);
extern void ln_conn_push_idle(Conn *c);
extern bool ln_conn_quiet(Conn *c);
extern Conn *ln_conn_idle(Origin *o, int64_t now);
extern void ln_conn_begin(Conn *c, Transfer *t);
extern bool ln_conn_send(Conn *c);
extern bool ln_conn_read(Conn *c);

/* http_transfer.c */
extern void ln_list_push(TransferList *list, Transfer *t);
extern void ln_list_push_front(TransferList *list, Transfer *t);
extern Transfer *ln_list_pop(TransferList *list);
extern void ln_list_remove(TransferList *list, Transfer *t);
extern bool ln_transfer_take(Transfer *t, const char *data, size_t len,
							 bool *surplus);
extern void ln_transfer_finish(Transfer *t);
extern void ln_transfer_fail(Transfer *t, CURLcode code, const char *error);
extern int64_t ln_transfer_retry_after_ms(const Transfer *t);
extern void ln_transfer_release(Transfer *t);

/* http_pool.c */
extern Pool *ln_pool_get(HttpClient *client);
extern void ln_pool_free(Pool *pool);
extern void ln_pool_sweep(HttpClient *client);
extern void ln_pool_timer(Pool *pool);
extern bool ln_fd_reserve(HttpClient *client, int fd);
extern void ln_fd_register(HttpClient *client, int fd, uint32_t events);
extern void ln_mask_signals(HttpClient *client);
extern void ln_unmask_signals(HttpClient *client);
extern int64_t ln_now_us(void);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif							/* LN_HTTP_INTERNAL_H */
