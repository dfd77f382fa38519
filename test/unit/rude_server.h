/*-------------------------------------------------------------------------
 *
 * rude_server.h
 *		A server that follows a script, byte by byte, for tests of the HTTP
 *		client.  One thread per connection, on a port of its own.
 *
 * A script is a list of steps, run once for each request on a connection; the
 * server has a sequence of scripts, and each request takes the next one (the
 * last one again and again).  What arrived is counted independently of what
 * the client believes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LN_RUDE_SERVER_H
#define LN_RUDE_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

typedef enum StepKind
{
	STEP_END,					/* close the connection (FIN) */
	STEP_READ_HEAD,				/* wait for a complete request head */
	STEP_READ_ALL,				/* wait for head and body */
	STEP_SEND,					/* send bytes */
	STEP_DRIP,					/* send bytes one by one, ms apart */
	STEP_REPEAT,				/* send bytes "times" times, -1 = endlessly */
	STEP_SLEEP,					/* wait ms */
	STEP_RESET,					/* close the connection by RST */
	STEP_KEEP,					/* next request on this connection */
	STEP_STALL,					/* wait until the client goes away */
	STEP_UNLISTEN,				/* take no more connections: refused */
	STEP_TUNNEL,				/* connect to the host of a CONNECT, relay */
	STEP_TICKET,				/* send another session ticket of TLS 1.3 */
	STEP_WAIT					/* read nothing until rude_resume() */
} StepKind;

typedef struct Step
{
	StepKind	kind;
	const char *bytes;
	size_t		len;
	int			number;			/* ms, or times */
} Step;

#define SEND(text)			{STEP_SEND, text, sizeof(text) - 1, 0}
#define DRIP(text, ms)		{STEP_DRIP, text, sizeof(text) - 1, ms}
#define REPEAT(text, n)		{STEP_REPEAT, text, sizeof(text) - 1, n}
#define READ_HEAD			{STEP_READ_HEAD, NULL, 0, 0}
#define READ_ALL			{STEP_READ_ALL, NULL, 0, 0}
#define SLEEP(ms)			{STEP_SLEEP, NULL, 0, ms}
#define RESET				{STEP_RESET, NULL, 0, 0}
#define KEEP				{STEP_KEEP, NULL, 0, 0}
#define STALL				{STEP_STALL, NULL, 0, 0}
#define UNLISTEN			{STEP_UNLISTEN, NULL, 0, 0}
#define TUNNEL				{STEP_TUNNEL, NULL, 0, 0}
#define TICKET				{STEP_TICKET, NULL, 0, 0}
#define WAIT				{STEP_WAIT, NULL, 0, 0}
#define END					{STEP_END, NULL, 0, 0}

#define MAX_SEQUENCE	8
#define MAX_CONNECTIONS	8192

typedef struct RudeServer
{
	pthread_mutex_t lock;		/* for all that follows */
	int			listen_fd;
	int			port;
	pthread_t	acceptor;
	pthread_t	threads[MAX_CONNECTIONS];
	int			nthreads;
	volatile bool stop;
	SSL_CTX    *tls;			/* NULL = plain */
	char		alpn[256];		/* what the last client offered, with commas */
	volatile bool resumed;		/* see STEP_WAIT */
	int			open;			/* connections that are being served */

	const Step *sequence[MAX_SEQUENCE];
	int			nsequence;
	int			position;
	int			epoch;			/* number of rude_script() calls */

	int			connections;	/* accepted since the last rude_script() */
	int			heads;			/* complete heads */
	int			complete;		/* complete requests */
	int			marked;			/* complete requests with MARK in the body */
	size_t		body_bytes;		/* body bytes that arrived, in all */
	char		last_head[16384];
	char		last_body[16384];
} RudeServer;

/* Start on a free port of 127.0.0.1; tls is not taken over. */
extern void rude_start(RudeServer *s, SSL_CTX *tls);

/*
 * The same on a given address (of the loopback network) and port (0 = any
 * free one), with a receive buffer of so many bytes.  It is always given: one
 * that grows, on a kept connection to as much as tcp_rmem allows, takes the
 * whole of a body that the server has not read.
 */
#define RECEIVE_BUFFER 131072
extern void rude_start_at(RudeServer *s, SSL_CTX *tls, const char *address,
						  int port, int receive_buffer);
extern void rude_stop(RudeServer *s);

/* Set the sequence of scripts (up to a NULL), and zero the counts. */
extern void rude_script(RudeServer *s, const Step *script,...);

/* Let those go on that wait. */
extern void rude_resume(RudeServer *s);

/* Wait until no connection is served any more; false = it takes too long. */
extern bool rude_quiet(RudeServer *s);

/* Counts, read under the lock. */
extern int	rude_marked(RudeServer *s);
extern int	rude_connections(RudeServer *s);
extern int	rude_heads(RudeServer *s);

/*
 * A TLS context with a fresh self-signed certificate for the name (an address
 * or a host name), valid from "from" to "to" seconds from now; the
 * certificate is also written as PEM to path.
 */
extern SSL_CTX *rude_tls(const char *name, long from, long to,
						 const char *path);

#endif							/* LN_RUDE_SERVER_H */
